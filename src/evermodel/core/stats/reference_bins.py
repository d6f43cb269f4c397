"""What a monitor keeps of the reference rows: bins of each column, and how rows are counted into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.stats.binning import count_bins, find_bins
from evermodel.core.stats.overdispersion import SHORTEST, STRETCHES, estimate_overdispersion

FINE = 60  # bins that a number is counted in; the tests merge them into ten
COARSE = 10
TOP = 30  # categories with a bin of their own
RAREST = 0.005  # share of the reference rows below which a category shares a bin with the unseen ones
UNIT = 500  # rows to which stored overdispersions refer
LEAST = 2  # reference rows below which a column has no reference


@dataclass(frozen=True)
class ColumnReference:
    """One column of the reference rows. ``concentrations`` (K,) are the parameters of the Dirichlet of its shares.

    Numbers: bin k holds values in (edges[k - 1], edges[k]]; edges are order statistics, so that a continuous column's
    shares are exactly Dirichlet(concentrations). Categories: one bin each, the last for rare and unseen ones.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    all_categories: tuple[str, ...]  # every category of the reference rows
    concentrations: tuple[float, ...]
    rows: int
    missing: int
    low: float | None = None
    high: float | None = None
    mean: float = float("nan")
    std: float = float("nan")
    overdispersion: float = (
        0.0  # how much more the shares of ``CLUMP`` rows in a row vary than those of rows drawn at random
    )
    missing_overdispersion: float = 0.0  # the same of missing values, which come in bursts of their own

    def design_effect(self, rows: float, *, missing: bool = False) -> float:
        """Rows that count as one independent row in windows of ``rows`` rows."""
        return 1.0 + (self.missing_overdispersion if missing else self.overdispersion) * rows / UNIT

    @property
    def bins(self) -> int:
        """The number of bins, K."""
        return len(self.concentrations)

    def merge_bins(self, counts: Array) -> Array:
        """Counts (…, bins) merged into about ten bins, the same for every window."""
        if self.kind == "category" or self.bins <= COARSE + 2:
            return np.asarray(counts)
        return np.add.reduceat(counts, self.starts, axis=-1)

    @property
    def starts(self) -> Array:
        """First fine bin of each merged one: as equally full as the bins allow."""
        share = np.cumsum(self.concentrations)[:-1] / sum(self.concentrations)
        cut = np.searchsorted(share, np.arange(1, COARSE) / COARSE - 1e-9) + 1
        return np.unique(np.r_[0, np.minimum(cut, self.bins - 1)])


@dataclass(frozen=True)
class ColumnCounts:
    """One column's rows counted: ``bins`` (K,), and what is in no bin. Counts of batches add up, in any order."""

    bins: Array
    missing: int = 0
    unseen: int = 0  # categories that the reference rows do not hold
    outside: int = 0  # numbers below the least or above the greatest reference value
    far: int = 0  # of these, farther out than that range is wide

    @property
    def rows(self) -> int:
        """All rows counted, missing values included."""
        return int(self.bins.sum()) + self.missing

    def __add__(self, other: ColumnCounts) -> ColumnCounts:
        return ColumnCounts(
            self.bins + other.bins,
            self.missing + other.missing,
            self.unseen + other.unseen,
            self.outside + other.outside,
            self.far + other.far,
        )


def build_reference(values: pl.Series) -> ColumnReference | None:
    """The reference of a cleaned column (Float64 or String, null where missing); None where no value can be used."""
    present = values.drop_nulls()
    if values.dtype.is_numeric():
        return build_number_reference(values.name, present.to_numpy(), len(values) - len(present))
    return build_category_reference(values.name, present, len(values) - len(present))


def build_number_reference(
    name: str, x: Array, missing: int = 0, *, fine: int = FINE, is_sorted: bool = False
) -> ColumnReference | None:
    """Equally full bins with edges at order statistics of ``x`` (n,); fewer where values repeat. O(n log n)."""
    n = len(x)
    if n < LEAST:
        return None
    ordered = x if is_sorted else np.sort(x)
    ordered = ordered[: np.searchsorted(ordered, np.inf)]  # NaN and inf sort last
    n = len(ordered)
    if n < LEAST:
        return None
    at = np.unique(np.arange(1, fine) * n // fine)
    at = at[at > 0]
    edges = np.unique(ordered[at - 1])
    edges = edges[edges < ordered[-1]]
    upto = np.searchsorted(ordered, edges, side="right")
    gaps = np.diff(np.r_[0, upto, n + 1]).astype(np.float64)
    low, high = float(ordered[0]), float(ordered[-1])
    mean, std = float(ordered.mean()), float(ordered.std())
    bins = tuple(edges.tolist()), (), (), tuple(gaps.tolist())
    return ColumnReference(name, "number", *bins, n, missing, low, high, mean, std)


def build_category_reference(name: str, values: pl.Series, missing: int = 0) -> ColumnReference | None:
    """A bin for each of the frequent categories, and one for all rare and unseen ones."""
    n = len(values)
    if n < LEAST:
        return None
    table = values.rename("value").value_counts(sort=True)
    table = table.sort("count", "value", descending=[True, False])
    names, counts = table["value"].cast(pl.String).to_list(), table["count"].to_numpy()
    kept = min(TOP, int((counts >= max(1.0, RAREST * n)).sum()))
    gaps = [float(c) + 0.5 for c in counts[:kept]] + [float(counts[kept:].sum()) + 0.5]
    return ColumnReference(name, "category", (), tuple(names[:kept]), tuple(names), tuple(gaps), n, missing)


def count_column(values: pl.Series, reference: ColumnReference) -> ColumnCounts:
    """Rows of a cleaned column counted into the reference's bins; O(n log K)."""
    if reference.kind == "number":
        numbers = values if values.dtype == pl.Float64 else values.cast(pl.Float64, strict=False)
        return count_numbers(numbers.to_numpy(), reference)  # null is NaN there, which counts as missing
    present = values.drop_nulls()
    counts = present.cast(pl.String).rename("value").value_counts()
    of = dict(zip(counts["value"].to_list(), counts["count"].to_list(), strict=True))
    bins = [of.get(c, 0) for c in reference.categories]
    seen = set(reference.all_categories)
    unseen = sum(n for c, n in of.items() if c not in seen)
    rest = len(present) - sum(bins)
    return ColumnCounts(np.array([*bins, rest], dtype=np.int64), len(values) - len(present), unseen)


def count_numbers(x: Array, reference: ColumnReference, missing: int = 0) -> ColumnCounts:
    """Numbers (n,) counted into the reference's bins; what is not finite counts as missing."""
    finite = np.isfinite(x)
    if not finite.all():
        missing += int((~finite).sum())
        x = x[finite]
    bins = count_bins(x, np.asarray(reference.edges, dtype=np.float64))
    low, high = reference.low, reference.high
    outside = int((x < low).sum() + (x > high).sum()) if low is not None and high is not None else 0
    if not outside or low is None or high is None:
        return ColumnCounts(bins, missing)
    wide = high - low
    far = int((x < low - wide).sum() + (x > high + wide).sum()) if wide > 0 else 0
    return ColumnCounts(bins, missing, 0, outside, far)


def count_groups(values: pl.Series, groups: Array, n_groups: int, reference: ColumnReference) -> list[ColumnCounts]:
    """``count_column`` of each group of rows, all at once; ``groups`` (n,) are the rows' codes 0 … n_groups - 1."""
    none, k = np.zeros(0, dtype=np.int64), reference.bins
    unseen = outside = far = none  # codes of the rows that are so
    if reference.kind == "number":
        x = (values if values.dtype == pl.Float64 else values.cast(pl.Float64, strict=False)).to_numpy()
        usable = np.isfinite(x)  # null is NaN there
        x, of = x[usable], groups[usable]
        bins = find_bins(x, np.asarray(reference.edges, dtype=np.float64))
        low, high = reference.low, reference.high
        if low is not None and high is not None:
            outside, wide = of[(x < low) | (x > high)], high - low
            far = of[(x < low - wide) | (x > high + wide)] if wide > 0 else none
    else:
        usable = values.is_not_null().to_numpy()
        text, of = values.drop_nulls().cast(pl.String), groups[usable]
        unseen = of[~text.is_in(reference.all_categories).to_numpy()]
        places = dict(zip(reference.categories, range(k - 1), strict=True)) or {"": k - 1}
        bins = text.replace_strict(places, default=k - 1, return_dtype=pl.Int64).to_numpy()
    counts = np.bincount(of * k + bins, minlength=n_groups * k).reshape(n_groups, k)
    others = (np.bincount(rows, minlength=n_groups).tolist() for rows in (groups[~usable], unseen, outside, far))
    return [ColumnCounts(*one) for one in zip(counts, *others, strict=True)]


def build_references(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, ColumnReference]:
    """The reference of each named column of cleaned rows, oldest first; columns without a usable value have none."""
    references = {n: build_reference(frame[n]) for n in names if n in frame.columns and frame[n].dtype != pl.Binary}
    return {n: measure_reference_overdispersion(frame[n], r) for n, r in references.items() if r is not None}


def measure_reference_overdispersion(values: pl.Series, reference: ColumnReference) -> ColumnReference:
    """The reference with the overdispersion of its rows in the order of time (seasons, bursts, drifting sensors)."""
    n = len(values) // SHORTEST
    if n < STRETCHES:
        return reference
    short = count_groups(values[: n * SHORTEST], np.arange(n * SHORTEST) // SHORTEST, n, reference)
    missing = np.array([(c.missing, c.bins.sum()) for c in short])
    overdispersion = estimate_overdispersion(reference.merge_bins(np.stack([c.bins for c in short])))
    return dataclasses.replace(
        reference, overdispersion=overdispersion * UNIT, missing_overdispersion=estimate_overdispersion(missing) * UNIT
    )
