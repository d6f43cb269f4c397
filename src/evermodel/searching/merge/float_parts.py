"""Tensors of several files as parts of float32, so that memory does not grow with the model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.tensors.tensor_file import BYTES, StoredTensor

FLOATS = ("F32", "BF16", "F16", "F64")
PART = 1 << 18  # elements at once: the parts of a few models stay in the processor's cache


class OpenFiles:
    """Files opened once and read at any place; a context manager that closes them."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> OpenFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def read(self, tensor: StoredTensor, start: int, count: int) -> bytearray:
        """The bytes of ``count`` elements from ``start`` on. Raises BadModel where the file was cut meanwhile."""
        if tensor.file not in self._open:
            self._open[tensor.file] = os.open(tensor.file, os.O_RDONLY)
            self._stack.callback(os.close, self._open[tensor.file])
        width = BYTES[tensor.dtype]
        buffer = bytearray(count * width)
        view, at = memoryview(buffer), tensor.start + start * width
        while view:
            got = os.preadv(self._open[tensor.file], [view], at)
            if not got:
                raise BadModel(f"{tensor.file.name} became shorter while it was read.", "Merge files nobody writes to.")
            view, at = view[got:], at + got
        return buffer

    def read_floats(self, tensor: StoredTensor, start: int, count: int) -> Array:
        """(count,) float32."""
        return to_float32(self.read(tensor, start, count), tensor.dtype)


class TensorParts:
    """One tensor of each model, and of the base where there is one, read side by side; again for every loop."""

    def __init__(self, files: OpenFiles, tensors: Sequence[StoredTensor], base: StoredTensor | None) -> None:
        self._files, self._tensors, self._base = files, tensors, base

    @property
    def models(self) -> int:
        """How many models there are, the base not counted."""
        return len(self._tensors)

    @property
    def size(self) -> int:
        return self._tensors[0].size

    def parts(self) -> Iterator[list[Array]]:
        """The same part of every model."""
        for start, count in self._places():
            yield [self._files.read_floats(tensor, start, count) for tensor in self._tensors]

    def changes(self) -> Iterator[tuple[Array, list[Array]]]:
        """The same part of the base, and how every model differs from it."""
        for start, count in self._places():
            base = self._read_base(start, count)
            read = [self._files.read_floats(tensor, start, count) for tensor in self._tensors]
            for part in read:
                part -= base
            yield base, read

    def changes_of(self, model: int) -> Iterator[Array]:
        """How one model differs from the base, part by part."""
        for start, count in self._places():
            part = self._files.read_floats(self._tensors[model], start, count)
            part -= self._read_base(start, count)
            yield part

    def _read_base(self, start: int, count: int) -> Array:
        if self._base is None:
            raise BadModel("There is no base to compare the models with.")
        return self._files.read_floats(self._base, start, count)

    def _places(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.size, PART):
            yield start, min(PART, self.size - start)


def to_float32(raw: bytearray, dtype: str) -> Array:
    """Numbers of a floating type as float32; those of BF16, F16 and F32 exactly."""
    if dtype == "F32":
        return np.frombuffer(raw, np.float32)
    if dtype == "BF16":
        wide = np.frombuffer(raw, np.uint16).astype(np.uint32)
        np.left_shift(wide, 16, out=wide)
        return wide.view(np.float32)
    return np.frombuffer(raw, np.float16 if dtype == "F16" else np.float64).astype(np.float32)


def from_float32(part: Array, dtype: str) -> memoryview:
    """The bytes of float32 numbers (n,) in a floating type, rounded to the nearest, ties to even."""
    if dtype == "BF16":
        bits = np.ascontiguousarray(part).view(np.uint32)
        odd = np.right_shift(bits, 16)
        odd &= 1
        odd += 0x7FFF
        odd += bits
        np.right_shift(odd, 16, out=odd)
        return odd.astype(np.uint16).data.cast("B")
    kinds = {"F32": np.float32, "F16": np.float16, "F64": np.float64}
    return np.ascontiguousarray(part, kinds[dtype]).data.cast("B")
