"""Segments of the log: frames appended one after the other, each with its length and checksum.

A crash can cut off the last frames, never change an earlier one: a reader stops at the first frame that is not whole.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from evermodel.core.errors import Damaged

_HEAD = struct.Struct("<II")  # length and CRC-32 of the payload
SUFFIX = ".segment"
LAST_MOMENT = 2.5e11  # Unix seconds: further on there are no dates
_VERSION = re.compile(r"v[0-9]{1,9}")


class ColumnsFrame(msgspec.Struct, tag="columns", array_like=True, frozen=True):
    """What the rows that follow hold, until the next frame of this kind."""

    version: str
    numbers: list[str]
    texts: list[str]
    pictures: list[str]  # those among the texts that hold bytes
    keys: list[str]  # columns that are no inputs: ids, time, entity
    classes: list[Any]  # [] of a regression


class RowsFrame(msgspec.Struct, tag="rows", array_like=True, frozen=True):
    """The answered rows of one request."""

    id: str
    at: float  # Unix seconds
    positions: list[int] | None  # places in the request; None: all of them
    height: int
    numbers: bytes  # (height, numbers) float64
    texts: list[list[Any]]  # a list a column
    keys: list[list[Any]]
    codes: bytes  # (height,) int32 predicted classes; b"" of a regression
    outputs: bytes  # (height, classes) or (height,) float64; zeros where texts were written
    written: list[str] | None = None  # the answers of a model that writes texts


Frame = ColumnsFrame | RowsFrame
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ColumnsFrame | RowsFrame).decode


def encode_frame(frame: Frame) -> bytes:
    """The frame as it is appended to a segment."""
    payload = _encode(frame)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def read_frames(segment: Path) -> Iterator[Frame]:
    """The whole frames of a segment; what a crash left half-written behind them is passed over.

    Raises Damaged for a frame that is whole and is not what a server writes: its sizes disagree, or its version is
    none, which would become the name of a file.
    """
    width: tuple[int, int, int, int] | None = None  # of the columns: numbers, texts, keys, classes
    with segment.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            left -= _HEAD.size + length
            payload = file.read(length) if left >= 0 else b""  # no memory is asked for what is not there
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            try:
                frame = _decode(payload)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                raise describe_damage(segment, f"a frame cannot be decoded ({error})") from None
            if isinstance(frame, ColumnsFrame):
                if not _VERSION.fullmatch(frame.version):
                    raise describe_damage(segment, f"it names a version {frame.version[:20]!r}")
                width = len(frame.numbers), len(frame.texts), len(frame.keys), len(frame.classes)
            elif width is None or not _fits(frame, *width):
                raise describe_damage(segment, "the sizes of its rows disagree")
            yield frame


def _fits(rows: RowsFrame, numbers: int, texts: int, keys: int, classes: int) -> bool:
    """Whether each part of the frame has ``height`` rows, and predicted classes are classes."""
    height = rows.height
    lists = [*rows.texts, *rows.keys, *(one for one in (rows.positions, rows.written) if one is not None)]
    return (
        0 <= height == len(rows.outputs) // (8 * (classes or 1))
        and len(rows.outputs) % (8 * (classes or 1)) == 0
        and len(rows.numbers) == 8 * height * numbers
        and len(rows.codes) == (4 * height if classes else 0)
        and (len(rows.texts), len(rows.keys)) == (texts, keys)
        and all(len(one) == height for one in lists)
        and all(0 <= code < classes for code in set(array("i", rows.codes)))
        and 0.0 <= rows.at < LAST_MOMENT
    )


def describe_damage(segment: Path, why: str) -> Damaged:
    """The error for a segment that no server wrote."""
    return Damaged(
        f"{segment.name} in {segment.parent} is not what a server logs: {why}.", "Move this file out of the folder."
    )


def list_segments(folder: Path) -> Sequence[Path]:
    """The segments in a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))
