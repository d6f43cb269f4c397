"""What a file's first bytes, or the names inside a zip archive, say about it. Nothing in the file is executed."""

from __future__ import annotations

import zipfile
from pathlib import Path

ZIP = b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"


def first_bytes(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a regular file, fewer where it is shorter; b"" of anything else."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def zip_names(path: Path) -> frozenset[str]:
    """The names of the files in a zip archive, without the archive's own top folder; none for any other file.

    PyTorch puts everything below one folder, named after the file or "archive": ``a/data.pkl`` is ``data.pkl`` here.
    """
    if not first_bytes(path, 4).startswith(ZIP):
        return frozenset()
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return frozenset()
    tops = {name.split("/")[0] for name in names}
    shared = f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""
    return frozenset(name.removeprefix(shared) for name in names)
