"""Holds one set of rows against another, column by column: exact statistics, two columns in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from evermodel.core import plugs
from evermodel.core.cells import JOINT, Cells
from evermodel.core.description import embedded
from evermodel.core.errors import ContractBroken
from evermodel.core.learning import is_prose
from evermodel.core.monitoring import Drift
from evermodel.core.reading import collect, scan
from evermodel.core.sampling import spread_rows
from evermodel.core.table import Array

OF_NUMBERS = ("ks", "psi", "jensen_shannon", "wasserstein")
OF_CATEGORIES = ("psi", "jensen_shannon", "chi2")
OF_ROWS = ("c2st", "mmd")
THREADS = 2
JOINT_ROWS = 2_000


def drift_between(
    reference: Any, current: Any, *, columns: Sequence[str] | None = None,
    dependence: Mapping[str, float] | None = None, joint: bool = False,
) -> tuple[Drift, ...]:  # fmt: skip
    """How the rows of ``current`` differ from those of ``reference``, in each column that both have; exact.

    Numbers: Kolmogorov-Smirnov, Wasserstein, and PSI and Jensen-Shannon over ten equally full bins; categories: PSI,
    Jensen-Shannon, chi-square; pictures and texts: how they look (see ``embedded``), by a domain classifier and by
    kernels, on 2,000 rows of each. ``joint``: at the end all other columns at once, by the same. O(rows log rows) a
    column; memory: a few columns, not the files.
    """
    sides = scan(reference), scan(current)
    schemas = [s.collect_schema() for s in sides]
    names = list(columns) if columns is not None else [n for n in schemas[0] if n in schemas[1]]
    gone = [n for n in names if not all(n in s for s in schemas)]
    if gone:
        raise ContractBroken(f"Both must have the columns {', '.join(gone[:10])}.")
    plugged = {k: plugs.module("detectors", k) for k in {*OF_NUMBERS, *OF_CATEGORIES}}

    def one(name: str) -> Drift:
        if schemas[0][name] == pl.Binary:
            return Drift(name, _by_looks(sides, name), _matters((dependence or {}).get(name)))
        pair = [collect(s.select(name)).to_series() for s in sides]
        found = _statistics(pair[0], pair[1], plugged)
        if pair[0].dtype == pl.String and is_prose(pair[0].head(JOINT_ROWS)):
            found |= _by_looks(sides, name)
        return Drift(name, found, _matters((dependence or {}).get(name)))

    with ThreadPoolExecutor(THREADS) as pool:
        found = tuple(pool.map(one, names))
    return (*found, *_together(sides, names, dependence or {})) if joint else found


def _by_looks(sides: Sequence[pl.LazyFrame], name: str) -> dict[str, float]:
    """Pictures or texts as points; those that cannot be read count as missing."""
    drawn = [spread_rows(s.select(name), collect(s.select(pl.len())).item(), JOINT_ROWS)[name] for s in sides]
    points = [embedded(values) for values in drawn]
    was, now = (x[~np.isnan(x).any(axis=1)] for x in points)
    found = {k: float(plugs.function("detectors", k)(was, now)) for k in OF_ROWS}
    return {**found, "missing": 1.0 - len(now) / max(1, len(points[1]))}


def _together(sides: Sequence[pl.LazyFrame], names: Sequence[str], dependence: Mapping[str, float]) -> list[Drift]:
    """Nothing where fewer than two columns can be used."""
    was, now = (spread_rows(s.select(names), collect(s.select(pl.len())).item(), JOINT_ROWS) for s in sides)
    cells = Cells.of(was, names, dependence)
    if cells is None or not now.height:
        return []
    pair = cells[0].points(was), cells[0].points(now)
    return [Drift(JOINT, {k: float(plugs.function("detectors", k)(*pair)) for k in OF_ROWS}, "unknown")]


def _statistics(was: pl.Series, now: pl.Series, plugged: Mapping[str, Any]) -> dict[str, float]:
    missing = {"missing": now.null_count() / max(1, len(now))}
    if was.dtype.is_numeric() and now.dtype.is_numeric():
        a, b = _ordered(was), _ordered(now)
        return {**{k: getattr(plugged[k], k)(a, b, ordered=True) for k in OF_NUMBERS}, **missing}
    p, q = _counts(was, now)
    of = {k: plugged[k].of_pair(p, q) for k in OF_CATEGORIES}
    unseen = {"unseen": float(q[p == 0].sum() / max(1, q.sum()))}
    return {**of, **unseen, **missing}


def _ordered(values: pl.Series) -> Array:
    x = values.drop_nulls().to_numpy()
    x = np.sort(x)
    return x[: np.searchsorted(x, np.inf)] if x.dtype.kind == "f" else x


def _counts(was: pl.Series, now: pl.Series) -> tuple[Array, Array]:
    """Rows of each category of either."""
    tables = [s.cast(pl.String).drop_nulls().alias("c").value_counts(name="n") for s in (was, now)]
    both = tables[0].join(tables[1], on="c", how="full", coalesce=True).fill_null(0).sort("c")
    return both["n"].to_numpy().astype(np.float64), both["n_right"].to_numpy().astype(np.float64)


def _matters(share: float | None) -> Any:
    if share is None:
        return "unknown"
    return "high" if share >= 0.25 else "medium" if share >= 0.05 else "low"
