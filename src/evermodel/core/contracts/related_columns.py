"""Columns that move together."""

from __future__ import annotations

import numpy as np
import polars as pl

from evermodel.core.arrays import Array

ALIKE = 0.5  # correlation of ranks from which two columns are thought to move together


def find_related_columns(frame: pl.DataFrame, names: list[str], predictions: Array) -> dict[str, tuple[str, ...]]:
    """Column -> the columns whose ranks go with its own, of cleaned rows; categories in the order of what the model
    says of them, ``said`` (n,). O(rows x columns^2).
    """
    ranks, names_of_ranks = [], []
    for name in [n for n in names if n in frame.columns and frame[n].dtype != pl.Binary]:
        values = frame[name]
        if not values.dtype.is_numeric():
            mean = pl.DataFrame({"c": values, "s": predictions}).with_columns(pl.col("s").mean().over("c"))
            values = mean["s"]
        rank = values.rank().fill_null((len(values) + 1) / 2.0).to_numpy().astype(np.float64)
        if rank.std() > 0:
            ranks.append((rank - rank.mean()) / rank.std())
            names_of_ranks.append(name)
    if not names_of_ranks:
        return {}
    table = np.stack(ranks)
    alike = np.abs(table @ table.T) / table.shape[1] >= ALIKE
    return {
        n: tuple(names_of_ranks[j] for j in np.flatnonzero(alike[i]) if j != i) for i, n in enumerate(names_of_ranks)
    }
