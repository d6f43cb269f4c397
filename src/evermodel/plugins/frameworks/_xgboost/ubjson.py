"""Universal Binary JSON, as much of it as XGBoost writes. Source: https://ubjson.org (draft 12)"""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
DEEPEST = 64


def decode(data: bytes) -> Any:
    """The value that ``data`` holds. Raises ValueError for anything that is not whole."""
    value, end = _value(data, 0, DEEPEST)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes are left over")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth < 0:
        raise ValueError("it is nested too deeply")
    mark, at = _take(data, at, 1).decode("latin-1"), at + 1
    if mark in _NUMBERS:
        kind = np.dtype(_NUMBERS[mark])
        return np.frombuffer(_take(data, at, kind.itemsize), kind)[0].item(), at + kind.itemsize
    if mark in "TFZ":
        return {"T": True, "F": False, "Z": None}[mark], at
    if mark == "S":
        return _string(data, at)
    if mark == "{":
        return _object(data, at, depth)
    if mark == "[":
        return _array(data, at, depth)
    raise ValueError(f"unknown mark {mark!r}")


def _take(data: bytes, at: int, length: int) -> bytes:
    if length < 0 or at + length > len(data):
        raise ValueError("it ends too early")
    return data[at : at + length]


def _length(data: bytes, at: int) -> tuple[int, int]:
    length, at = _value(data, at, 0)
    if not isinstance(length, int) or length < 0:
        raise ValueError("a length is no number")
    return length, at


def _string(data: bytes, at: int) -> tuple[str, int]:
    length, at = _length(data, at)
    return _take(data, at, length).decode(), at + length


def _object(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while _take(data, at, 1) != b"}":
        key, at = _string(data, at)
        if key in found:
            raise ValueError(f"{key!r} occurs twice")
        found[key], at = _value(data, at, depth - 1)
    return found, at + 1


def _array(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    if _take(data, at, 1) == b"$":
        mark = _take(data, at + 1, 1).decode("latin-1")
        if mark not in _NUMBERS or _take(data, at + 2, 1) != b"#":
            raise ValueError("an array of an unknown type")
        length, at = _length(data, at + 3)
        kind = np.dtype(_NUMBERS[mark])
        return np.frombuffer(_take(data, at, length * kind.itemsize), kind).tolist(), at + length * kind.itemsize
    found: list[Any] = []
    if _take(data, at, 1) == b"#":
        length, at = _length(data, at + 1)
        for _ in range(length):  # each costs a byte at least: a false length ends at the end of the data
            value, at = _value(data, at, depth - 1)
            found.append(value)
        return found, at
    while _take(data, at, 1) != b"]":
        value, at = _value(data, at, depth - 1)
        found.append(value)
    return found, at + 1


def is_ubjson(head: bytes) -> bool:
    """Whether the first bytes are those of a document: an object whose first key has a length before it."""
    return len(head) > 2 and head[:1] == b"{" and chr(head[1]) in "iUIlL"
