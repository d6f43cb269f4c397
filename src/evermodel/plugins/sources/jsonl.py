"""JSON lines, one object a line; and JSON, one array of objects."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.image_columns import with_pictures
from evermodel.core.data.scan import MOST_COLUMNS
from evermodel.core.data.source import recognize_suffix
from evermodel.core.data.text_tables.text_encoding import check_text
from evermodel.core.errors import BadData, NoRows
from evermodel.core.plugins import Confidence

__all__ = ["jsonl", "recognize"]
SUFFIXES = (".jsonl", ".ndjson", ".json")


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


def jsonl(source: Path, /) -> pl.LazyFrame:
    """The rows of a file with one JSON object a line; types are settled by the whole file, a key may be left out.

    A file that is one array of objects is read as well, into memory. Raises BadData naming the first line that is not
    an object. Costs a pass for the types.
    """
    check_text(source)
    if source.suffix.lower() == ".json" and _is_array(source):
        return with_pictures(_read_array(source), source.parent)
    _check_line(source, 1)
    try:
        frame = pl.scan_ndjson(glob.escape(str(source)), infer_schema_length=None)
        frame.collect_schema()
        frame.select(pl.len()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        _check_line(source, None)
        raise
    return with_pictures(frame, source.parent)


def _is_array(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _read_array(source: Path) -> pl.LazyFrame:
    try:
        rows = json.loads(source.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadData(f"{source} is not JSON ({error}).", "Was the copy interrupted?") from None
    odd = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if odd is not None:
        raise BadData(f"Item {odd + 1} of {source} is not an object in braces.", "Write one object a row.")
    if not rows:
        raise NoRows(f"{source} holds no rows.")
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) > MOST_COLUMNS:
        raise BadData(f"{source} has {len(names):,} keys; at most {MOST_COLUMNS:,} are read.")
    try:
        return pl.from_dicts(rows, infer_schema_length=None).lazy()
    except OverflowError as error:
        number = next((i for i, row in enumerate(rows, 1) if any(map(_is_too_large, row.values()))), 1)
        raise BadData(
            f"Item {number} of {source} holds a whole number of more digits than a column can keep.",
            "Write such numbers in quotes: they are read as texts then.",
        ) from error


def _is_too_large(value: object) -> bool:
    if isinstance(value, (list, dict)):
        return any(map(_is_too_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value.bit_length() > 127


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
