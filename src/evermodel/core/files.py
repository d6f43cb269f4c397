"""Writes files whole: temporary file beside the target, fsync, rename."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from evermodel.core.errors import EvermodelError, OutOfSpace


class HasRegistry(Protocol):
    """A store: its registry's folder is on the disk that may be full."""

    registry: Path


S = TypeVar("S", bound=HasRegistry)
P = ParamSpec("P")
R = TypeVar("R")


def write_whole(to: Path, write: Callable[[Path], object]) -> None:
    """Calls ``write`` with a temporary path of the same name, then moves it in place; ``to`` is old or new, never half.

    Raises OutOfSpace when the disk is full; ``to`` is then as it was.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=to.parent))
    temporary = folder / to.name
    try:
        with disk_space(to):
            write(temporary)
            sync_file(temporary)
            temporary.replace(to)
            sync_folder(to.parent)
    finally:
        temporary.unlink(missing_ok=True)
        folder.rmdir()


def write_text(to: Path, text: str) -> None:
    write_whole(to, lambda at: _put(at, text.encode()))


def _put(at: Path, data: bytes) -> None:
    at.write_bytes(data)


@contextmanager
def disk_space(at: Path, what: str = "") -> Iterator[None]:
    """Turns a failure to write at ``at`` for want of space into OutOfSpace; ``what`` names it, else its path does.

    polars, PyTorch and LightGBM raise errors of their own, without the number that the system gave. So the disk itself
    is asked: what was half-written is still there, and there is no room left.
    """
    try:
        yield
    except EvermodelError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _is_full(at):
            message = f"The disk is full while writing {what or at}."
            raise OutOfSpace(message, "Free some space and run it again.") from error
        raise


def reports_full_registry(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """For a function that writes into the store that is its first argument: ``disk_space`` around every call."""

    @functools.wraps(function)
    def call(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with disk_space(store.registry, "the registry"):
            return function(store, *args, **kwargs)

    return call


def _is_full(at: Path) -> bool:
    """Whether the disk on which ``at`` is, or would be, has no room for one more block."""
    there = next((folder for folder in (at, *at.absolute().parents) if folder.exists()), None)
    return there is not None and os.statvfs(there).f_bavail == 0


def sync_file(at: Path) -> None:
    with at.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(at: Path) -> None:
    descriptor = os.open(at, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_limited(at: Path, most: int) -> bytes:
    """The bytes of a small file that somebody gave, such as a configuration.

    Raises OSError, with a reason in ``strerror``, where it cannot be read, is no ordinary file or is larger than
    ``most`` bytes: a pipe would be waited for, and a device never ends.
    """
    descriptor = os.open(at, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer does not block
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, and {most:,} are allowed")
        return file.read(status.st_size)


def digest_file(at: Path) -> str:
    """SHA-256 of the file's bytes, as hex; reads a megabyte at a time."""
    with at.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_source(at: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, of the names and hashes of all its files."""
    if not at.is_dir():
        return digest_file(at)
    files = sorted(file for file in at.rglob("*") if file.is_file())
    listed = "".join(f"{file.relative_to(at).as_posix()}\0{digest_file(file)}\n" for file in files)
    return hashlib.sha256(listed.encode()).hexdigest()
