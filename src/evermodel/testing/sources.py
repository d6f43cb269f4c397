"""What every source must promise. ``check_source`` runs all checks; its error names the promise that is broken.

``write`` makes something that the source reads from rows, in an empty folder, and returns what ``scan`` takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.data.scan import collect, scan
from evermodel.core.data.source import SourceModule
from evermodel.core.errors import AskedWrongly
from evermodel.core.plugins import Confidence
from evermodel.testing.check_runner import run_checks

Write = Callable[[pl.DataFrame, Path], Any]
Check = Callable[[SourceModule, Write, pl.DataFrame, Path], None]
NOTHING: tuple[Any, ...] = (None, 1, 2.5, object(), b"rows", "", "rows", Path("rows"))  # no source reads these


def check_only_its_own_is_recognized(module: SourceModule, write: Write, rows: pl.DataFrame, folder: Path) -> None:
    """It recognizes what it reads, and nothing that holds no rows; its suffixes are texts that begin with a dot."""
    assert module.recognize(write(rows, folder)) is not Confidence.NO, "it does not recognize what it reads"
    for thing in NOTHING:
        assert module.recognize(thing) is Confidence.NO, f"it claims to read {thing!r}"
    assert all(suffix.startswith(".") for suffix in module.SUFFIXES), f"SUFFIXES is {module.SUFFIXES}"


def check_rows_and_order_are_kept(module: SourceModule, write: Write, rows: pl.DataFrame, folder: Path) -> None:
    """As many rows come back as were written, in the same order, under the same names and with the same values."""
    read = collect(scan(write(rows, folder)))
    assert read.columns == rows.columns, f"columns {read.columns}, written {rows.columns}"
    assert read.height == rows.height, f"{read.height} rows, written {rows.height}"
    for name in rows.columns:
        kind = pl.Float64 if rows[name].dtype.is_numeric() else pl.String
        same = read[name].cast(kind).equals(rows[name].cast(kind), null_equal=True)
        assert same, f"the values of {name!r} changed"


def check_reading_twice_gives_the_same(module: SourceModule, write: Write, rows: pl.DataFrame, folder: Path) -> None:
    """Reading twice gives the same rows: nothing is used up, nothing is drawn by chance."""
    source = write(rows, folder)
    one, two = collect(scan(source)), collect(scan(source))
    assert one.equals(two, null_equal=True), "the second reading gave other rows"


CHECKS: tuple[Check, ...] = (
    check_only_its_own_is_recognized,
    check_rows_and_order_are_kept,
    check_reading_twice_gives_the_same,
)


def check_refuses_in_words(unreadable: Any) -> None:
    """What cannot be read is refused by an AskedWrongly with a sentence in it, never by another error."""
    try:
        collect(scan(unreadable))
    except AskedWrongly as error:
        assert error.message and "Traceback" not in error.message, f"the message is {error.message!r}"
        return
    raise AssertionError(f"{unreadable!r} was read")


def check_source(module: SourceModule, write: Write, rows: pl.DataFrame | None = None) -> int:
    """Runs every check on a source's module; returns how many ran. Raises AssertionError naming the broken promise.

    ``rows``: what is written and read back; numbers and text with missing values unless given.
    """
    name = str(getattr(module, "__name__", module)).rpartition(".")[2]
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            run_checks([check], "source", name, module, write, example_rows() if rows is None else rows, Path(folder))
    return len(CHECKS)


def example_rows() -> pl.DataFrame:
    """Twenty rows of numbers, whole numbers and text, some missing."""
    return pl.DataFrame(
        {
            "number": [1.5, -2.0, None, 1e9] * 5,
            "count": [3, 1, 2, 2] * 5,
            "word": ["a b", "é", "x,y", 'q"q'] * 5,
        }
    )
