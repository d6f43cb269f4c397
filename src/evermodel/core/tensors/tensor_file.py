"""The header of a safetensors file: names, types, shapes and places of its tensors, checked before any is read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel

BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
BYTES |= {"F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}
LONGEST_HEADER = 100_000_000  # bytes: as the format's own library allows
MOST_DIMENSIONS, LARGEST_COUNT = 16, 2**63  # of a tensor; of its elements and bytes
COPY_AGAIN = "The file is damaged or was not copied whole: copy it again."


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor stands: ``start`` and ``stop`` are bytes from the beginning of the file."""

    name: str
    dtype: str  # of the format: F32, BF16 …
    shape: tuple[int, ...]
    file: Path
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class TensorFile:
    """One file: its tensors in the order in which they stand, and the texts that its writer put beside them."""

    path: Path
    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]


def read_tensor_file(path: Path) -> TensorFile:
    """The checked header of the file; no tensor is read, so that the cost does not grow with the model.

    Raises BadModel where the header is no header, or says other bytes than there are: a file that was cut.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            raise BadModel(f"{path.name} is no whole safetensors file: it has {size:,} bytes.", COPY_AGAIN)
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise BadModel(f"The header of {path.name} cannot be read.", COPY_AGAIN) from None
    if not isinstance(header, dict):
        raise BadModel(f"The header of {path.name} names no tensors.", COPY_AGAIN)
    texts = header.pop("__metadata__", None) or {}
    if not isinstance(texts, dict):
        raise BadModel(f"The texts in the header of {path.name} are no table.", COPY_AGAIN)
    found = [_read_entry(path, name, entry, 8 + length) for name, entry in header.items()]
    found.sort(key=lambda tensor: (tensor.start, tensor.stop))
    at = 8 + length
    for tensor in found:
        if tensor.start != at:
            raise BadModel(f"In {path.name} the tensor {tensor.name!r} does not begin where the one before ends.")
        at = tensor.stop
    if at != size:
        raise BadModel(f"{path.name} has {size:,} bytes, and its header says {at:,}.", COPY_AGAIN)
    return TensorFile(path, {t.name: t for t in found}, {str(k): str(v) for k, v in texts.items()})


def _read_entry(path: Path, name: str, entry: Any, begin: int) -> StoredTensor:
    try:
        shape = tuple(_read_count(width) for width in entry["shape"][: MOST_DIMENSIONS + 1])
        first, last = (_read_count(place) for place in entry["data_offsets"])
        dtype = str(entry["dtype"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadModel(f"The header of {path.name} says no type, shape or place of {name[:80]!r}.") from None
    if dtype not in BYTES:
        raise BadModel(f"The tensor {name[:80]!r} in {path.name} has the type {dtype[:20]!r}, which is not known here.")
    if len(shape) > MOST_DIMENSIONS or last - first != math.prod(shape) * BYTES[dtype]:
        raise BadModel(f"The tensor {name[:80]!r} in {path.name} has other bytes than its shape {list(shape)} needs.")
    return StoredTensor(name, dtype, shape, path, begin + first, begin + last)


def _read_count(value: Any) -> int:
    """A whole number from 0 on that a file can have so many of. Raises ValueError, TypeError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    if not 0 <= value < LARGEST_COUNT:
        raise ValueError
    return value


def encode_header(tensors: Mapping[str, tuple[str, tuple[int, ...]]], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file of these tensors, name -> (type, shape), in the given order, one after another."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        length = math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
