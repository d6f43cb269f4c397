"""A source of rows: log lines of ``key=value`` pairs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.source import recognize_suffix
from evermodel.core.data.text_tables.text_types import infer_types
from evermodel.core.errors import BadData, NoData
from evermodel.core.plugins import Confidence

SUFFIXES = (".logfmt",)


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


def logfmt(source: Path, /) -> pl.LazyFrame:
    """A row a line; a key that a line leaves out is missing there. Raises BadData naming the first wrong line."""
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            rows.append(dict(word.split("=", maxsplit=1) for word in shlex.split(line)))
        except ValueError:
            raise BadData(f"Line {number} of {source} is not key=value pairs.", "Correct that line.") from None
    if not any(rows):
        raise NoData(f"{source} has no rows.", "Give a file with at least one line of key=value pairs.")
    columns = dict.fromkeys(key for row in rows for key in row)
    return infer_types(pl.LazyFrame({name: [row.get(name) for row in rows] for name in columns}))
