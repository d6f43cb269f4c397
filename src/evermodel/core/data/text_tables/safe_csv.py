"""Writes a CSV file for people: a cell that a spreadsheet would take for a formula is shown as text.

A class label or an id out of a stranger's rows may begin with ``=``, ``+``, ``-`` or ``@``. Such a text gets an
apostrophe in front, as spreadsheets mark text; numbers stay numbers. Parquet, Arrow and JSON files hold all as it is.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

FORMULA = r"^[=+\-@\t\r]"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def write_csv(frame: pl.DataFrame, to: Path) -> None:
    """Writes ``frame`` to ``to``, its texts and its column names neutralised."""
    texts = [
        pl.when(pl.col(name).str.contains(FORMULA) & ~pl.col(name).str.contains(NUMBER))
        .then("'" + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String
    ]
    names = {name: f"'{name}" for name in frame.columns if name[:1] in "=+-@\t\r" and name}
    frame.with_columns(texts).rename(names).write_csv(to)
