"""Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.image_columns import with_pictures
from evermodel.core.data.scan import MOST_COLUMNS, reading
from evermodel.core.data.source import recognize_suffix
from evermodel.core.errors import BadData
from evermodel.core.plugins import Confidence

__all__ = ["parquet", "recognize"]
SUFFIXES = (".parquet", ".pq")
PANDAS_INDEX = r"^__index_level_\d+__$"


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


# Cells, and cells a byte: packed repetitions can claim any number of rows.
ROOM, MOST_CELLS = 100_000_000, 1000


def parquet(source: Path, /) -> pl.LazyFrame:
    """The rows of a Parquet file, read column by column and row group by row group as they are asked for.

    Columns that are the index of a pandas frame without a name of its own are left out, as pandas itself does. Raises
    BadData for a file that was cut off, or has more columns than we read (before its schema is built).
    """
    with source.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        end = file.read(8)
        if size < 12 or end[4:] != b"PAR1":
            raise BadData(f"{source} is not a whole Parquet file: its end is missing.", "Was the copy interrupted?")
        footer = int.from_bytes(end[:4], "little")
        if footer > size - 12:
            raise BadData(f"{source} is not a whole Parquet file: its footer is longer than the file.")
        file.seek(size - 8 - footer)
        columns = _column_count(file.read(min(footer, 64)))
    if columns > MOST_COLUMNS:
        raise BadData(f"{source} has {columns:,} columns; at most {MOST_COLUMNS:,} are read.")
    frame = pl.scan_parquet(source, glob=False)
    with reading(str(source)):
        rows = int(frame.select(pl.len()).collect().item())  # stands in the footer
    if rows * max(columns - 1, 1) > ROOM + MOST_CELLS * size:
        raise BadData(
            f"{source} says that it holds {rows:,} rows in {size:,} bytes.", "Write it as .csv, if that is right."
        )
    return with_pictures(frame.drop(pl.selectors.matches(PANDAS_INDEX)), source.parent)


def _column_count(footer: bytes) -> int:
    """Entries of the schema list, from the first bytes of the footer (Thrift's compact protocol); 0 if unclear.

    Building the schema of a million columns takes gigabytes, its length stands in the first ten bytes.
    """
    at = 0
    if footer[at : at + 1] == b"\x15":  # field 1, int32: the version
        at += 1
        while at < len(footer) and footer[at] & 0x80:
            at += 1
        at += 1
    if footer[at : at + 1] != b"\x19" or at + 1 >= len(footer):  # field 2, a list
        return 0
    if footer[at + 1] >> 4 != 0xF:
        return footer[at + 1] >> 4
    count, shift = 0, 0
    for byte in footer[at + 2 : at + 8]:
        count |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return count
