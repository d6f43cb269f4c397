"""What every source obeys. A law is a function: it returns when it holds and raises AssertionError when it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from evermodel.core.errors import AskedWrongly
from evermodel.core.reading import collect, scan

Write = Callable[[pl.DataFrame, Path], Any]  # makes the source from rows in an empty folder; returns what scan() takes


def keeps_rows_and_order(write: Write, rows: pl.DataFrame, folder: Path) -> None:
    """As many rows come back as were written, in the same order, under the same names."""
    found = collect(scan(write(rows, folder)))
    assert found.columns == rows.columns, f"columns {found.columns}, written {rows.columns}"
    assert found.height == rows.height, f"{found.height} rows, written {rows.height}"
    for name in rows.columns:
        if rows[name].dtype.is_numeric():
            same = found[name].cast(pl.Float64).equals(rows[name].cast(pl.Float64), null_equal=True)
            assert same, f"the values of {name!r} changed"


def reads_twice_alike(write: Write, rows: pl.DataFrame, folder: Path) -> None:
    """Reading twice gives the same rows: nothing is used up, nothing is drawn by chance."""
    source = write(rows, folder)
    assert collect(scan(source)).equals(collect(scan(source)), null_equal=True)


def refuses_in_words(source: Any) -> None:
    """What cannot be read is refused by an AskedWrongly without a traceback in it, never by another error."""
    try:
        collect(scan(source))
    except AskedWrongly as error:
        assert error.message and "Traceback" not in error.message
        return
    raise AssertionError(f"{source!r} was read")


LAWS = (keeps_rows_and_order, reads_twice_alike)
