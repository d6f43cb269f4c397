"""A small picture of each column of the reference rows, and how new rows differ from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import collect, spread_rows
from evermodel.core.records.data_profile import ColumnProfile, DataProfile

LEVELS = np.linspace(0.0, 1.0, 201)
TOP = 50  # categories kept by name
BINS = 10  # of the population stability index, equally full in the old rows
_LEAST = 1e-4  # share below which a bin counts as this full, so that no logarithm is infinite


@dataclass(frozen=True)
class ColumnShift:
    """How one column moved: population stability index, Kolmogorov-Smirnov distance, mean in old deviations."""

    column: str
    psi: float
    ks: float
    mean: float | None  # (new mean - old mean) / old std; None for categories
    missing: float  # new share - old share


def profile_columns(frame: pl.LazyFrame, contract: Contract) -> DataProfile:
    """Per input column (and the target) of cleaned rows: rows, missing, 201 quantiles or top categories.

    Quantiles are of up to 200,000 rows spread over all; counts are exact. About 3 kB a column, two streaming passes.
    """
    schema = frame.collect_schema()
    rows = collect(frame.select(pl.len())).item()
    names = [c.name for c in contract.columns if c.kind not in ("image", "text")]
    target = contract.roles.target
    if target in schema and target not in names:
        names.append(str(target))
    numbers = [n for n in names if schema[n] == pl.Float64]
    sample = spread_rows(frame.select(numbers), rows) if numbers else pl.DataFrame()
    missing = collect(frame.select(pl.col(n).is_null().sum() for n in names)).row(0, named=True) if names else {}
    columns = {
        name: _profile_numbers(sample[name], int(missing[name]))
        if name in numbers
        else _profile_categories(frame, name, contract, int(missing[name]))
        for name in names
    }
    return DataProfile(rows, columns)


def _profile_numbers(values: pl.Series, missing: int) -> ColumnProfile:
    x = values.drop_nulls().to_numpy()
    x = x[np.isfinite(x)]
    if not len(x):
        return ColumnProfile(missing)
    quantiles = tuple(float(f"{q:.9g}") for q in np.quantile(x, LEVELS))
    return ColumnProfile(missing, quantiles, float(x.mean()), float(x.std()))


def _profile_categories(frame: pl.LazyFrame, name: str, contract: Contract, missing: int) -> ColumnProfile:
    counts = collect(frame.select(pl.col(name).alias("value")).group_by("value").len()).drop_nulls()
    counts = counts.sort("len", "value", descending=[True, False])
    label = contract.classes if name == contract.roles.target else ()
    top = {str(label[v]) if label else str(v): int(n) for v, n in counts.head(TOP).iter_rows()}
    others = int(counts["len"].sum()) - sum(top.values())
    return ColumnProfile(missing, top=top, others=others, distinct=counts.height)


def compare_profiles(old: DataProfile, new: DataProfile) -> list[ColumnShift]:
    """How each column that both profiles have moved, the most moved (by the index) first."""
    moved = []
    for name, was in old.columns.items():
        now = new.columns.get(name)
        if now is None or (was.top is None) != (now.top is None):
            continue
        missing = now.missing / max(new.rows, 1) - was.missing / max(old.rows, 1)
        if was.top is not None:
            psi, ks = _categories_moved(was, now)
            moved.append(ColumnShift(name, psi, ks, None, missing))
        elif was.quantiles and now.quantiles:
            psi, ks = _numbers_moved(np.asarray(was.quantiles), np.asarray(now.quantiles))
            mean = (
                (now.mean - was.mean) / was.std if was.std and now.mean is not None and was.mean is not None else None
            )
            moved.append(ColumnShift(name, psi, ks, mean, missing))
    return sorted(moved, key=lambda m: -m.psi)


def _numbers_moved(old: Array, new: Array) -> tuple[float, float]:
    points = np.unique(np.concatenate([old, new]))
    ks = max(
        float(np.abs(_share_up_to(old, points, s) - _share_up_to(new, points, s)).max()) for s in ("left", "right")
    )
    edges = np.unique(old[np.linspace(0, len(old) - 1, BINS + 1).astype(int)])[1:-1]
    bounds = [np.concatenate([[0.0], _share_up_to(q, edges, "right"), [1.0]]) for q in (old, new)]
    return _psi(np.diff(bounds[0]), np.diff(bounds[1])), ks


def _share_up_to(quantiles: Array, points: Array, side: Any) -> Array:
    """Share of the rows at or below (``right``) or below (``left``) each point, from the quantiles (201,)."""
    return np.searchsorted(quantiles, points, side=side) / len(quantiles)


def _categories_moved(old: ColumnProfile, new: ColumnProfile) -> tuple[float, float]:
    """The index, and half the sum of the shares' differences (total variation)."""
    tops = [dict(profile.top or {}) for profile in (old, new)]
    names = sorted({*tops[0], *tops[1]})
    others = (old.others, new.others)
    shares = [
        np.array([*(top.get(n, 0) for n in names), rest], dtype=float) for top, rest in zip(tops, others, strict=True)
    ]
    p, q = (s / max(s.sum(), 1.0) for s in shares)
    return _psi(p, q), float(np.abs(p - q).sum() / 2)


def _psi(p: Array, q: Array) -> float:
    p, q = np.maximum(p, _LEAST), np.maximum(q, _LEAST)
    return float(((q - p) * np.log(q / p)).sum())
