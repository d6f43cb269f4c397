"""Which rows a trial trains on, and which score it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData

NEWEST = 0.1  # share of the rows that each fold of a series is scored on
LEAST_ROWS = 20  # a fold


@dataclass(frozen=True)
class Fold:
    train: Table
    valid: Table


def folds_of(rows: Table, count: int, *, shuffled: bool, classify: bool, seed: int = 0) -> tuple[Fold, ...]:
    """``count`` folds. In a series each is scored on a later stretch and trained on all before it.

    ``shuffled`` rows are dealt out, classes evenly, entities whole. Raises NoData where the rows do not suffice.
    """
    if len(rows) < LEAST_ROWS * count:
        raise NoData(f"{count} folds need at least {LEAST_ROWS * count} rows. Got {len(rows)}.", "Give more rows.")
    if not shuffled and rows.roles.entity is None:
        return _forward(rows, count)
    part = _entities(rows, count, seed) if rows.roles.entity is not None else _dealt(rows, count, classify, seed)
    found = tuple(Fold(rows.rows(part != k), rows.rows(part == k)) for k in range(count))
    if any(not len(f.train) or not len(f.valid) for f in found):
        raise NoData(f"{count} folds need at least as many entities.", "Ask for fewer folds.")
    return found


def _forward(rows: Table, count: int) -> tuple[Fold, ...]:
    ends = np.linspace(1.0 - NEWEST * min(count, 5), 1.0, count + 1) * len(rows)
    at = np.round(ends).astype(int)
    n = np.arange(len(rows))
    return tuple(Fold(rows.rows(n < a), rows.rows((n >= a) & (n < b))) for a, b in zip(at[:-1], at[1:], strict=True))


def _dealt(rows: Table, count: int, classify: bool, seed: int) -> Array:
    order = np.random.default_rng(seed).permutation(len(rows))
    if classify:  # rows of one class one after another, so that dealing them out spreads each class
        codes = rows.frame[rows.roles.target or ""].to_numpy()
        order = order[np.argsort(codes[order], kind="stable")]
    part = np.empty(len(rows), dtype=np.int64)
    part[order] = np.arange(len(rows)) % count
    return part


def _entities(rows: Table, count: int, seed: int) -> Array:
    entity = (
        rows.frame[rows.roles.entity or ""].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    )
    share = np.random.default_rng(seed).permutation(int(entity.max()) + 1) % count
    return np.asarray(share[entity])
