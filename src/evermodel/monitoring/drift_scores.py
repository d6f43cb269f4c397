"""Compares two sets of rows, column by column, with exact statistics; two columns are in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.inference import is_prose
from evermodel.core.data.content_features import embed_contents
from evermodel.core.data.scan import collect, scan, spread_rows
from evermodel.core.errors import ContractBroken
from evermodel.core.records.monitoring import Drift
from evermodel.core.settings import settings_of
from evermodel.core.stats.drift_statistic import DRIFT_STATISTICS, DriftModule, DriftStatistic, OfCategoryCounts
from evermodel.core.stats.row_cells import JOINT, Cells

OfKind = Mapping[str, tuple[DriftModule, DriftStatistic]]  # name -> module and function
Statistics = Mapping[str, OfKind]  # "number", "category", "rows" -> those that compare such samples
THREADS = 2
JOINT_ROWS = 2_000


def measure_drift(
    reference: Any,
    current: Any,
    *,
    columns: Sequence[str] | None = None,
    dependence: Mapping[str, float] | None = None,
    joint: bool = False,
) -> tuple[Drift, ...]:
    """How the rows of ``current`` differ from those of ``reference``, in each column that both have; exact.

    Numbers: Kolmogorov-Smirnov, Wasserstein, and PSI and Jensen-Shannon over ten equally full bins; categories: PSI,
    Jensen-Shannon, chi-square; pictures and texts: their features (see ``embed_contents``), by a domain classifier
    and by kernels, on 2,000 rows of each. ``joint`` adds all other columns at once, compared in the same way.
    O(rows log rows) a column; memory: a few columns, not the files.
    """
    sides = scan(reference), scan(current)
    schemas = [s.collect_schema() for s in sides]
    names = list(columns) if columns is not None else [n for n in schemas[0] if n in schemas[1]]
    missing = [n for n in names if not all(n in s for s in schemas)]
    if missing:
        raise ContractBroken(f"Both sets of rows must have the columns {', '.join(missing[:10])}.")
    plugins = _load_statistics()

    def one(name: str) -> Drift:
        if schemas[0][name] == pl.Binary:
            return Drift(
                name, _compare_contents(sides, name, plugins["rows"]), _rate_importance((dependence or {}).get(name))
            )
        pair = [collect(s.select(name)).to_series() for s in sides]
        statistics = _compare_values(pair[0], pair[1], plugins)
        if pair[0].dtype == pl.String and is_prose(pair[0].head(JOINT_ROWS)):
            statistics |= _compare_contents(sides, name, plugins["rows"])
        return Drift(name, statistics, _rate_importance((dependence or {}).get(name)))

    with ThreadPoolExecutor(THREADS) as pool:
        by_column = tuple(pool.map(one, names))
    if not joint:
        return by_column
    return (*by_column, *_compare_rows(sides, names, dependence or {}, plugins["rows"]))


def _load_statistics() -> Statistics:
    """The drift statistics, ours and those of other packages, by the kind of sample that they compare."""
    loaded = [(name, module, DRIFT_STATISTICS.load(name)) for name, module in DRIFT_STATISTICS.usable()]
    return {kind: {n: (m, f) for n, m, f in loaded if kind in m.KINDS} for kind in ("number", "category", "rows")}


def _compare_contents(sides: Sequence[pl.LazyFrame], name: str, statistics: OfKind) -> dict[str, float]:
    """Compares pictures or texts by their features; those that cannot be read count as missing."""
    drawn = [spread_rows(s.select(name), collect(s.select(pl.len())).item(), JOINT_ROWS)[name] for s in sides]
    points = [embed_contents(values) for values in drawn]
    before, now = (x[~np.isnan(x).any(axis=1)] for x in points)
    values = {k: float(function(before, now)) for k, (_, function) in statistics.items()}
    return {**values, "missing": 1.0 - len(now) / max(1, len(points[1]))}


def _compare_rows(
    sides: Sequence[pl.LazyFrame], names: Sequence[str], dependence: Mapping[str, float], statistics: OfKind
) -> list[Drift]:
    """Compares all columns at once; nothing where fewer than two can be used."""
    was, now = (spread_rows(s.select(names), collect(s.select(pl.len())).item(), JOINT_ROWS) for s in sides)
    cells = Cells.of(was, names, dependence)
    if cells is None or not now.height:
        return []
    pair = cells[0].points(was), cells[0].points(now)
    return [Drift(JOINT, {k: float(function(*pair)) for k, (_, function) in statistics.items()}, "unknown")]


def _compare_values(was: pl.Series, now: pl.Series, plugins: Statistics) -> dict[str, float]:
    missing = {"missing": now.null_count() / max(1, len(now))}
    if was.dtype.is_numeric() and now.dtype.is_numeric():
        a, b = _sort_values(was), _sort_values(now)
        return {**{k: _compare_numbers(function, a, b) for k, (_, function) in plugins["number"].items()}, **missing}
    p, q = _count_categories(was, now)
    of = {}
    for name, (module, function) in plugins["category"].items():
        if isinstance(module, OfCategoryCounts):
            of[name] = module.of_pair(p, q)
        else:
            of[name] = float(function(*(s.cast(pl.String).drop_nulls().to_numpy() for s in (was, now))))
    unseen = {"unseen": float(q[p == 0].sum() / max(1, q.sum()))}
    return {**of, **unseen, **missing}


def _compare_numbers(function: DriftStatistic, a: Array, b: Array) -> float:
    """The statistic of two sorted samples; one that has a setting ``ordered`` is told that they are sorted."""
    sorted_already = {"ordered": True} if any(s.name == "ordered" for s in settings_of(function)) else {}
    return float(function(a, b, **sorted_already))


def _sort_values(values: pl.Series) -> Array:
    x = values.drop_nulls().to_numpy()
    x = np.sort(x)
    return x[: np.searchsorted(x, np.inf)] if x.dtype.kind == "f" else x


def _count_categories(was: pl.Series, now: pl.Series) -> tuple[Array, Array]:
    """Rows of each category that occurs in either."""
    tables = [s.cast(pl.String).drop_nulls().alias("c").value_counts(name="n") for s in (was, now)]
    both = tables[0].join(tables[1], on="c", how="full", coalesce=True).fill_null(0).sort("c")
    return both["n"].to_numpy().astype(np.float64), both["n_right"].to_numpy().astype(np.float64)


def _rate_importance(share: float | None) -> Any:
    if share is None:
        return "unknown"
    return "high" if share >= 0.25 else "medium" if share >= 0.05 else "low"
