"""JSON lines: one object a line."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.errors import BadData
from evermodel.core.pictures import with_pictures
from evermodel.core.reading import MOST_COLUMNS
from evermodel.core.text_file import check_text

__all__ = ["jsonl", "opens"]
SUFFIXES = (".jsonl", ".ndjson")


def opens(source: Any) -> bool:
    """Whether the file's suffix is one of JSON lines'."""
    return isinstance(source, Path) and source.suffix.lower() in SUFFIXES


def jsonl(source: Path, /) -> pl.LazyFrame:
    """The rows of a file with one JSON object a line; types are settled by the whole file, a key may be left out.

    Raises BadData naming the first line that is not an object. Costs a pass for the types.
    """
    check_text(source)
    _check_line(source, 1)
    try:
        frame = pl.scan_ndjson(glob.escape(str(source)), infer_schema_length=None)
        frame.collect_schema()
        frame.select(pl.len()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        _check_line(source, None)
        raise
    return with_pictures(frame, source.parent)


def _check_line(source: Path, most: int | None) -> None:
    """Raises BadData for the first of up to ``most`` lines that is no JSON object, or holds too many keys."""
    with source.open("rb") as file:
        for at, line in enumerate(file, start=1):
            if most is not None and at > most:
                return
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadData(f"Line {at} of {source} is not JSON ({error}).", "Mend or remove that line.") from None
            if not isinstance(row, dict):
                raise BadData(f"Line {at} of {source} is not an object in braces.", "Write one object a line.")
            if len(row) > MOST_COLUMNS:
                raise BadData(f"Line {at} of {source} has {len(row):,} keys; at most {MOST_COLUMNS:,} are read.")
