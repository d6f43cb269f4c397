"""Text tables: comma, semicolon, tab or bar between the values."""

from __future__ import annotations

import csv as reader
import io
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evermodel.core.errors import BadData, NoData
from evermodel.core.pictures import with_pictures
from evermodel.core.reading import MOST_COLUMNS
from evermodel.core.text_file import check_text
from evermodel.core.types_of_text import typed

__all__ = ["csv", "opens"]
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data")
SEPARATORS = (",", ";", "\t", "|")
HEADER = 64 << 20  # bytes in which the first line must end


def opens(source: Any) -> bool:
    """Whether the file's suffix is one of text tables'."""
    return isinstance(source, Path) and source.suffix.lower() in SUFFIXES


def csv(
    source: Path,
    /,
    *,
    separator: Literal["auto", ",", ";", "\t", "|"] = "auto",
    types: Literal["auto", "text"] = "auto",
) -> pl.LazyFrame:
    """The rows of a text table with a header line, in UTF-8; values may be quoted, numbers padded.

    A column's type is what all its values are, not the first hundred; ``types="text"`` leaves everything text and
    saves that pass. Raises BadData for rows of another length than the header, or two columns of one name.
    """
    check_text(source)
    between = _sniffed(source) if separator == "auto" else separator
    names = _header(source, between)
    _check_lengths(source, between, len(names))
    frame = pl.scan_csv(source, separator=between, infer_schema=False, glob=False)
    found = frame.collect_schema().names()
    if len(found) == len(names):
        frame = frame.rename({a: b for a, b in zip(found, names, strict=True) if a != b})
    if types == "auto":
        frame = typed(frame)
    return with_pictures(frame, source.parent)


def _sniffed(source: Path) -> str:
    """The separator that cuts the first lines into the most fields, as many in each."""
    with source.open("rb") as file:
        start = file.read(65_536).decode("utf-8", "ignore")
    best, most = ",", 1
    for between in SEPARATORS:
        try:
            rows = [len(r) for r in reader.reader(io.StringIO(start, newline=""), delimiter=between) if r]
        except reader.Error:
            continue
        full = rows[: max(1, min(len(rows) - 1, 20))]  # the last may be cut off
        if full and full[0] > most and max(full) == min(full):
            best, most = between, full[0]
    return best if most > 1 else _first_guess(start)


def _first_guess(start: str) -> str:
    line = start.split("\n", 1)[0]
    return max(SEPARATORS, key=lambda s: line.count(s))


def _header(source: Path, between: str) -> list[str]:
    with source.open("rb") as file:
        line = file.readline(HEADER)
        while line.count(b'"') % 2 and len(line) < HEADER and (more := file.readline(HEADER)):
            line += more
        nothing_follows = not file.read(65_536).strip()
    if len(line) >= HEADER or line.count(between.encode()) >= MOST_COLUMNS:
        count = line.count(between.encode()) + 1
        raise BadData(f"{source} has {count:,} columns; at most {MOST_COLUMNS:,} are read.")
    if b"\r" in line.rstrip(b"\r\n"):
        raise BadData(
            f"{source} ends its lines with a carriage return alone.", "Convert it: tr '\\r' '\\n' < FILE > NEW."
        )
    text = line.decode("utf-8-sig").rstrip("\r\n")
    try:
        names = next(iter(reader.reader([text], delimiter=between)), [])
    except reader.Error as error:
        raise BadData(f"The header of {source} cannot be read ({error}).") from None
    if not names:
        raise NoData(f"{source} begins with an empty line instead of the columns' names.")
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise BadData(
            f"{source} has two columns of one name: {', '.join(map(repr, twice[:5]))}.",
            "Rename one; or is the first line not the header?",
        )
    if nothing_follows:
        raise NoData(f"{source} has a header, but no rows.")
    return names


def _check_lengths(source: Path, between: str, columns: int) -> None:
    """Raises BadData for the first line with more or fewer values than the header; polars sees to quoted ones."""
    if columns == 1:
        return
    line = pl.col("line")
    lines = pl.scan_lines(source, glob=False).with_row_index("at")
    counted = lines.with_columns(has=line.str.count_matches(between, literal=True)).filter(pl.col("has") != columns - 1)
    plain = ~line.str.contains('"', literal=True) & (line.str.strip_chars() != "")
    found = counted.filter(plain).select("at", "has").head(1).collect(engine="streaming")
    if not found.height:
        return
    at, has = found.row(0)
    quotes = line.str.count_matches('"', literal=True)
    odd = lines.select((quotes % 2 == 1).any()).collect(engine="streaming").item()
    if not odd:  # with a value over several lines, lines are not rows
        raise BadData(
            f"Line {at + 1:,} of {source} has {has + 1} values, the header {columns}.",
            "Mend the line; was the file cut off, or does a value hold the separator?",
        )
