"""Excel workbooks: the first sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.image_columns import with_pictures
from evermodel.core.data.source import recognize_suffix
from evermodel.core.data.text_tables.text_types import infer_types
from evermodel.core.errors import BadData, MissingExtra
from evermodel.core.plugins import Confidence

__all__ = ["excel", "recognize"]
SUFFIXES = (".xlsx", ".xlsm", ".xls")


def recognize(source: Any, /) -> Confidence:
    """By the suffix of the file."""
    return recognize_suffix(source, SUFFIXES)


def excel(source: Path, /, *, sheet: str = "") -> pl.LazyFrame:
    """The rows of a workbook's first sheet, or of ``sheet``; its first row holds the columns' names.

    Read into memory. Raises BadData for a file that is no workbook, or a sheet without such a row.
    """
    try:
        import fastexcel
    except ImportError:
        raise MissingExtra.for_package("fastexcel", "files", f"Reading {source.name}") from None
    _check_size(source)
    try:
        book = fastexcel.read_excel(str(source))
        names = book.sheet_names
        chosen = sheet or names[0]
        if chosen not in names:
            raise BadData(f"{source} has no sheet {sheet!r}.", f"There is: {', '.join(names[:20])}.")
        frame = pl.DataFrame(book.load_sheet(chosen).to_polars())
    except (fastexcel.FastExcelError, IndexError) as error:
        raise BadData(f"{source} cannot be read as a workbook ({str(error).splitlines()[0][:200]}).") from error
    unnamed = [c for c in frame.columns if c.startswith("__UNNAMED__") and frame[c].null_count() == frame.height]
    frame = frame.drop(unnamed)
    return with_pictures(infer_types(frame.lazy()), source.parent)


ROOM, MOST_RATIO = 256_000_000, 100  # what a workbook, which is an archive, may unpack to: bytes, and times its size


def _check_size(source: Path) -> None:
    """Raises BadData for a workbook whose parts unpack to far more than it holds; the parser keeps them in memory."""
    import zipfile  # only workbooks need it

    try:
        with zipfile.ZipFile(source) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # .xls is no archive; a broken one is said by the reader
    if unpacked > ROOM + MOST_RATIO * source.stat().st_size:
        raise BadData(f"{source} unpacks to {unpacked / 1e9:,.1f} GB.", "Save it as .csv, if it is right.")
