"""Writes files whole: temporary file beside the target, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evermodel.core.errors import OutOfSpace


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
def disk_space(what: Path) -> Iterator[None]:
    """Turns "no space left" into OutOfSpace."""
    try:
        yield
    except Exception as error:  # polars has errors of its own, with no number
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise OutOfSpace(f"The disk is full while writing {what}.", "Free some space and run it again.") from None
        raise


def sync_file(at: Path) -> None:
    with at.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(at: Path) -> None:
    descriptor = os.open(at, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_file(at: Path) -> str:
    """SHA-256 of the file's bytes, as hex; reads a megabyte at a time."""
    with at.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
