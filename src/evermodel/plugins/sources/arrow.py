"""Arrow IPC files (also called Feather)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.image_columns import with_pictures
from evermodel.core.data.source import recognize_suffix
from evermodel.core.errors import BadData
from evermodel.core.plugins import Confidence

__all__ = ["arrow", "recognize"]
SUFFIXES = (".arrow", ".feather", ".ipc")


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


def arrow(source: Path, /) -> pl.LazyFrame:
    """The rows of an Arrow IPC file, mapped into memory. Raises BadData for a file that was cut off, or a stream."""
    with source.open("rb") as file:
        start = file.read(6)
        file.seek(-6, 2)
        whole = start == b"ARROW1" and file.read(6) == b"ARROW1"
    if not whole:
        raise BadData(f"{source} is not a whole Arrow IPC file: its start or end is missing.", "Write it as a file.")
    return with_pictures(pl.scan_ipc(source, glob=False), source.parent)
