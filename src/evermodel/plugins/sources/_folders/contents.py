"""What lies in a folder that is given for rows: pictures by class, or files of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from evermodel.core.data.image_columns import PICTURES
from evermodel.core.data.source import DELTA_LOG

FEW = 1_000  # entries of a folder by which its kind is told
DEEPEST = 8  # folders within folders


def holds_tables(source: Path) -> bool:
    """Whether a folder holds a Delta table, or files of rows at any depth, and no pictures by class."""
    if (source / DELTA_LOG).is_dir():
        return True
    first = next(list_files(source), None)
    return first is not None and not is_picture(first) and not holds_pictures(source)


def holds_pictures(source: Path) -> bool:
    """Whether a folder directly below this one holds a picture."""
    below = (entry for entry in islice(source.iterdir(), FEW) if entry.is_dir() and not is_hidden(entry))
    return any(is_picture(file) for entry in below for file in islice(entry.iterdir(), FEW))


def is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES and file.is_file()


def is_hidden(entry: Path) -> bool:
    """Whether a name marks what is no data: ``.git``, ``_SUCCESS``."""
    return entry.name.startswith((".", "_"))


def list_files(source: Path, most: int | None = None) -> Iterator[Path]:
    """Up to ``most`` files below a folder, by name, numbers in names by their size: part-9 before part-10."""
    return islice(_walk(source, DEEPEST), most)


def _walk(source: Path, deeper: int) -> Iterator[Path]:
    for entry in sorted((e for e in source.iterdir() if not is_hidden(e)), key=_make_natural_key):
        if entry.is_dir():
            if deeper:
                yield from _walk(entry, deeper - 1)
        elif entry.is_file():
            yield entry


def _make_natural_key(entry: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", entry.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts], entry.name
