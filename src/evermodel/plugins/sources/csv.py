"""Text tables: comma, semicolon, tab or bar between the values."""

from __future__ import annotations

import csv as reader
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evermodel.core.data.image_columns import with_pictures
from evermodel.core.data.scan import MOST_COLUMNS
from evermodel.core.data.source import recognize_suffix
from evermodel.core.data.text_tables.text_encoding import check_text
from evermodel.core.data.text_tables.text_types import infer_types
from evermodel.core.errors import BadData, NoData, NoRows
from evermodel.core.plugins import Confidence
from evermodel.plugins.sources._csv.dialect import Dialect, find_dialect, is_headerless
from evermodel.plugins.sources._csv.rewrite import rewrite
from evermodel.plugins.sources._csv.stated_header import choose_header, state_names

__all__ = ["csv", "recognize"]
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data")
HEADER = 64 << 20  # bytes in which the first line must end
STATE_ENCODING = (
    "If it is Windows-1252 (Latin-1), say so: --encoding windows-1252 on the command line; "
    "or convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW."
)


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


def csv(
    source: Path,
    /,
    *,
    header: str = "auto",
    separator: str = "auto",
    decimal: Literal["auto", ".", ","] = "auto",
    encoding: str = "auto",
    types: Literal["auto", "text"] = "auto",
    usual_header: str = "",
) -> pl.LazyFrame:
    """The rows of a text table with a header line, in UTF-8 or UTF-16; values may be quoted, numbers padded.

    ``header`` names the columns of a file without such a line, A,B,C; with "none" they are called 0, 1, 2, …, as those
    of an array. ``usual_header`` does so where the first line holds none of these names; else that is the header. The
    separator may be stated in a first line ``sep=;``, blanks may separate numbers, and comments may stand before the
    header. A column's type is what all its values are, not the first hundred; ``types="text"`` leaves everything text
    and saves that pass. Raises BadData for rows of another length than the header, or two columns of
    one name; BadSetting for a header that the first line contradicts.
    """
    given, dialect = source, find_dialect(source, separator, encoding)
    if dialect.is_plain:
        check_text(source, STATE_ENCODING)
    else:
        if dialect.encoding == "utf-8":
            check_text(source, STATE_ENCODING)
        source, dialect = rewrite(source, dialect), Dialect(",")
    between = dialect.separator
    if usual_header and header == "auto":
        header = choose_header(usual_header, source, between, given)
    first_is_header = header == "auto"
    names = _read_header(source, between, given, header)
    _check_lines(source, between, len(names), given, first_is_header=first_is_header)
    frame = pl.scan_csv(source, separator=between, infer_schema=False, glob=False, has_header=first_is_header)
    found = frame.collect_schema().names()
    if len(found) == len(names):
        frame = frame.rename({a: b for a, b in zip(found, names, strict=True) if a != b})
    if types == "auto":
        frame = infer_types(frame, "" if decimal == "auto" else decimal)
    return with_pictures(frame, given.parent)


def _read_header(source: Path, between: str, given: Path, header: str) -> list[str]:
    """The columns' names: the first line, or what ``header`` states beside it. Raises BadData, NoData, BadSetting."""
    with source.open("rb") as file:
        line = file.readline(HEADER)
        while line.count(b'"') % 2 and len(line) < HEADER and (more := file.readline(HEADER)):
            line += more
        nothing_follows = not file.read(65_536).strip()
    if len(line) >= HEADER or line.count(between.encode()) >= MOST_COLUMNS:
        count = line.count(between.encode()) + 1
        raise BadData(f"{given} has {count:,} columns; at most {MOST_COLUMNS:,} are read.")
    text = line.decode("utf-8-sig").rstrip("\r\n")
    try:
        names = [n.strip() for n in next(iter(reader.reader([text], delimiter=between)), [])]
    except reader.Error as error:
        raise BadData(f"The header of {given} cannot be read ({error}).") from None
    if header != "auto":
        return state_names(header, names, given)
    if not names:
        raise NoData(f"{given} begins with an empty line instead of the columns' names.")
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise BadData(
            f"{given} has two columns of one name: {', '.join(map(repr, twice[:5]))}.",
            "Rename one; or is the first line not the header? On the command line, --header A,B,C names the columns.",
        )
    if is_headerless(names):
        raise BadData(
            f"The first line of {given} holds values ({', '.join(names[:4])}, …) and no names of columns.",
            "On the command line, --header A,B,C names them; or put them before it: (echo 'a,b,c'; cat FILE) > NEW.",
        )
    if nothing_follows:
        raise NoRows(f"{given} has a header, but no rows.")
    return names


def _check_lines(source: Path, between: str, columns: int, given: Path, *, first_is_header: bool) -> None:
    """Raises BadData for the first line with more or fewer values than the header, or that repeats it.

    Polars sees to lines with quotes.
    """
    if columns == 1:
        return
    with source.open("rb") as file:
        first = file.readline(HEADER).decode("utf-8-sig", "replace").strip()
    header, called = (first, "the header") if first_is_header else ("", "the first")
    line = pl.col("line")
    lines = pl.scan_lines(source, glob=False).with_row_index("at")
    counted = lines.with_columns(has=line.str.count_matches(between, literal=True)).filter(
        (pl.col("has") != columns - 1) | ((pl.col("at") > 0) & (line.str.strip_chars() == header))
    )
    plain = ~line.str.contains('"', literal=True) & (line.str.strip_chars() != "")
    found = counted.filter(plain).select("at", "has").head(1).collect(engine="streaming")
    if not found.height:
        return
    at, has = found.row(0)
    if has == columns - 1:
        raise BadData(f"Line {at + 1:,} of {given} repeats the header.", "Remove it; were several files put together?")
    quotes = line.str.count_matches('"', literal=True)
    odd = lines.select((quotes % 2 == 1).any()).collect(engine="streaming").item()
    if not odd:  # with a value over several lines, lines are not rows
        raise BadData(
            f"Line {at + 1:,} of {given} has {has + 1} values, {called} {columns}.",
            "Mend the line; was the file cut off, or does a value hold the separator?",
        )
