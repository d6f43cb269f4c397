"""Writes the merged weights into a folder beside the target, which takes the target's name once it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting, OutOfSpace
from evermodel.core.files import disk_space, sync_folder
from evermodel.core.tensors.tensor_file import StoredTensor, TensorFile, encode_header
from evermodel.searching.merge.compatible_models import MergeSource
from evermodel.searching.merge.float_parts import FLOATS, OpenFiles, from_float32

SPARE = 16_000_000  # bytes of the disk that are left free
COPIED = (".json", ".txt", ".model", ".jinja")  # configuration and tokenizer, which no code is among
LARGEST_COPY = 100_000_000


def check_output(to: Path, sources: tuple[MergeSource, ...], size: int) -> None:
    """Raises BadSetting for a target that is not free, OutOfSpace where the disk has no room for ``size`` bytes."""
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise BadSetting(f"{to} exists already.", "Name a folder that is not there yet.")
    for source in sources:
        if to.resolve() == source.path.resolve() or source.path.resolve() in to.resolve().parents:
            raise BadSetting(f"{to} lies in {source.path}, which is merged.", "Name another place to write to.")
    there = next(folder for folder in to.absolute().parents if folder.exists())
    if not there.is_dir():
        raise BadSetting(f"{there} is a file, not a folder.", "Name another place to write to.")
    free = shutil.disk_usage(there).free
    if free < size + SPARE:
        raise OutOfSpace(
            f"The merged model needs {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free at {there}.",
            "Free some space, or name another disk.",
        )


@contextlib.contextmanager
def stage_folder(to: Path) -> Iterator[Path]:
    """A folder that becomes ``to`` where nothing went wrong, and is removed where something did."""
    staged = to.parent / f".merging-{to.name}-{os.getpid()}"
    with disk_space(to.parent):
        staged.mkdir(parents=True)
    try:
        with disk_space(to):
            yield staged
        sync_folder(staged)
        if to.is_dir():
            to.rmdir()
        staged.replace(to)
        sync_folder(to.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_file(
    source: TensorFile, to: Path, files: OpenFiles, merge_tensor: Callable[[StoredTensor], Iterator[Array]]
) -> None:
    """A file with the tensors of ``source``, in its order and types; ``merge_tensor`` gives the parts of each.

    Whole numbers are copied. Raises BadModel where a merged number is none.
    """
    header = encode_header({t.name: (t.dtype, t.shape) for t in source.tensors.values()}, source.metadata)
    with to.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, len(header) + sum(t.stop - t.start for t in source.tensors.values()))
        place = _write(file.fileno(), memoryview(header), 0)
        for tensor in source.tensors.values():
            for piece in _pieces(tensor, files, merge_tensor):
                place = _write(file.fileno(), piece, place)
        os.fsync(file.fileno())


def _pieces(
    tensor: StoredTensor, files: OpenFiles, merge_tensor: Callable[[StoredTensor], Iterator[Array]]
) -> Iterator[memoryview]:
    if tensor.dtype not in FLOATS:
        yield memoryview(files.read(tensor, 0, tensor.size))
        return
    for part in merge_tensor(tensor):
        # The sum of a part is finite where all of its numbers are; where it is not, each is looked at.
        if not np.isfinite(part.sum()) and not np.isfinite(part).all():
            raise BadModel(f"{tensor.name!r} would hold NaN or infinity: one of the models is damaged there.")
        yield from_float32(part, tensor.dtype)


def _write(descriptor: int, piece: memoryview, at: int) -> int:
    while piece:
        done = os.pwrite(descriptor, piece, at)
        piece, at = piece[done:], at + done
    return at


def copy_other_files(folder: Path, to: Path) -> None:
    """The configuration, the tokenizer and the index of the weights; no code, and no other weights."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in COPIED and file.stat().st_size <= LARGEST_COPY:
            shutil.copyfile(file, to / file.name)
