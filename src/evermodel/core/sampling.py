"""A spread of rows small enough to hold."""

from __future__ import annotations

import polars as pl

from evermodel.core.reading import collect

MOST = 200_000
_AT = "__row__"


def spread_rows(frame: pl.LazyFrame, rows: int | None = None, most: int = MOST) -> pl.DataFrame:
    """All rows up to ``most``, else every k-th of them: the same rows for the same data, evenly from old to new."""
    if rows is None:
        rows = collect(frame.select(pl.len())).item()
    step = -(-rows // most)
    if step <= 1:
        return collect(frame)
    return collect(frame.with_row_index(_AT).filter(pl.col(_AT) % step == 0).drop(_AT))
