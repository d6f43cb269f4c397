"""The binary extension of the Open Inference Protocol: tensors as bytes behind the JSON, as Triton's clients send them.

A header says how long the JSON is. Numbers are little-endian; a text is its length in four bytes, then itself.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData

LENGTH_HEADER = b"inference-header-content-length"
SIZE = "binary_data_size"  # a tensor's parameter: how many of the bytes are its own
WANTED, ALL_WANTED = "binary_data", "binary_data_output"  # parameters of an output, and of a request
DTYPES = {
    "BOOL": "?",
    **{f"{kind}INT{bits}": f"<{kind.lower() or 'i'}{bits // 8}" for kind in ("U", "") for bits in (8, 16, 32, 64)},
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


def read_length(headers: Mapping[bytes, bytes]) -> int | None:
    """How long the JSON is; None where there are no bytes behind it. Raises BadData."""
    said = headers.get(LENGTH_HEADER)
    if said is None:
        return None
    if not said.isdigit() or len(said) > 12:
        raise BadData("Inference-Header-Content-Length must be the number of bytes of the JSON.")
    return int(said)


def split_body(body: bytes, length: int | None) -> tuple[bytes, bytes]:
    """The JSON, and the bytes behind it. Raises BadData where the body is shorter than its header says."""
    if length is None:
        return body, b""
    if length > len(body):
        raise BadData(f"Inference-Header-Content-Length is {length:,}, and the body has {len(body):,} bytes.")
    return body[:length], body[length:]


class TensorBytes:
    """The bytes behind the JSON of a request, given out tensor by tensor in the order of the JSON."""

    def __init__(self, held: bytes) -> None:
        self._held, self._at = held, 0

    def read(self, name: str, datatype: str, shape: Sequence[int], size: Any) -> Array | list[Any]:
        """The values of one tensor: numbers as an array, texts as a list (bytes where they are no text)."""
        if type(size) is not int or size < 0:
            raise BadData(f"{SIZE!r} of the tensor {name!r} must be a number of bytes.")
        if size > len(self._held) - self._at:
            left = len(self._held) - self._at
            raise BadData(f"The tensor {name!r} needs {size:,} bytes behind the JSON. There are {left:,}.")
        part = self._held[self._at : self._at + size]
        self._at += size
        if datatype == "BYTES":
            return _read_texts(name, part)
        dtype = np.dtype(DTYPES[datatype])
        if len(part) != math.prod(shape) * dtype.itemsize:
            raise BadData(
                f"The tensor {name!r} has {len(part):,} bytes, and {datatype} of the shape {list(shape)} has "
                f"{math.prod(shape) * dtype.itemsize:,}."
            )
        return np.frombuffer(part, dtype)

    def check_end(self) -> None:
        """Raises BadData where there are bytes that belong to no tensor."""
        if self._at != len(self._held):
            raise BadData(f"{len(self._held) - self._at:,} bytes behind the JSON belong to no tensor.")


def _read_texts(name: str, part: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(part):
        if at + 4 > len(part):
            raise BadData(f"The tensor {name!r} ends within the length of a text.")
        (length,) = struct.unpack_from("<I", part, at)
        at += 4
        if at + length > len(part):
            raise BadData(f"The tensor {name!r} ends within a text.")
        found.append(_decode(part[at : at + length]))
        at += length
    return found


def _decode(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value  # a picture; where a text is needed, the row is refused


def encode_tensor(datatype: str, data: Any) -> bytes:
    """The values of an output as bytes."""
    if datatype == "BYTES":
        texts = [str(value).encode() for value in data]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.ascontiguousarray(data, dtype=DTYPES[datatype]).tobytes()
