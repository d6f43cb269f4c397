"""What a monitor keeps of the reference rows: bins a column, and how rows are counted into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from evermodel.core.binning import bin_counts
from evermodel.core.clumping import SHORTEST, STRETCHES, clumping
from evermodel.core.table import Array

FINE = 60  # bins a number is counted in; the evidence adds them up to ten
COARSE = 10
TOP = 30  # categories with a bin of their own
RAREST = 0.005  # share of the reference rows below which a category shares a bin with the unseen ones
CLUMP = 500  # rows in whose terms clumping is told
LEAST = 2  # reference rows without which a column has no reference


@dataclass(frozen=True)
class ColumnReference:
    """One column of the reference rows. ``gaps`` (K,) is what its Dirichlet knows of each bin.

    Numbers: bin k holds values in (edges[k - 1], edges[k]]; edges are order statistics, so that a continuous column's
    shares are exactly Dirichlet(gaps). Categories: one bin each, the last for rare and unseen ones.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    known: tuple[str, ...]  # every category of the reference rows
    gaps: tuple[float, ...]
    rows: int
    missing: int
    low: float | None = None
    high: float | None = None
    mean: float = float("nan")
    std: float = float("nan")
    clumped: float = 0.0  # how much more the shares of ``CLUMP`` rows in a row vary than those of rows drawn at random
    clumped_missing: float = 0.0  # the same of missing values, which come in bursts of their own

    def effective(self, rows: float, *, missing: bool = False) -> float:
        """Rows that count as one in looks of ``rows`` rows: neighbours that resemble each other tell less than many."""
        return 1.0 + (self.clumped_missing if missing else self.clumped) * rows / CLUMP

    @property
    def bins(self) -> int:
        return len(self.gaps)

    def coarse(self, counts: Array) -> Array:
        """Counts (…, bins) added up to about ten bins, the same for every look."""
        if self.kind == "category" or self.bins <= COARSE + 2:
            return np.asarray(counts)
        return np.add.reduceat(counts, self.starts, axis=-1)

    @property
    def starts(self) -> Array:
        """First fine bin of each coarse one: as equally full as the bins allow."""
        share = np.cumsum(self.gaps)[:-1] / sum(self.gaps)
        cut = np.searchsorted(share, np.arange(1, COARSE) / COARSE - 1e-9) + 1
        return np.unique(np.r_[0, np.minimum(cut, self.bins - 1)])

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ColumnReference:
        tuples = {k: tuple(raw[k]) for k in ("edges", "categories", "known", "gaps")}
        return cls(**{**raw, **tuples})


@dataclass(frozen=True)
class Counted:
    """One column's rows counted: ``bins`` (K,), and what fits no bin. Adds up over batches, in any order."""

    bins: Array
    missing: int = 0
    unseen: int = 0  # categories that the reference rows do not hold
    outside: int = 0  # numbers below the least or above the greatest reference value
    far: int = 0  # of these, farther out than that range is wide

    @property
    def rows(self) -> int:
        return int(self.bins.sum()) + self.missing

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.bins + other.bins,
            self.missing + other.missing,
            self.unseen + other.unseen,
            self.outside + other.outside,
            self.far + other.far,
        )

    def to_json(self) -> list[Any]:
        return [self.bins.astype(int).tolist(), self.missing, self.unseen, self.outside, self.far]

    @classmethod
    def from_json(cls, raw: Sequence[Any]) -> Counted:
        return cls(np.asarray(raw[0], dtype=np.int64), *raw[1:])


def column_reference(values: pl.Series) -> ColumnReference | None:
    """The reference of a cleaned column (Float64 or String, null where missing); None where no value can be used."""
    present = values.drop_nulls()
    if values.dtype.is_numeric():
        return number_reference(values.name, present.to_numpy(), len(values) - len(present))
    return category_reference(values.name, present, len(values) - len(present))


def number_reference(
    name: str, x: Array, missing: int = 0, *, fine: int = FINE, is_sorted: bool = False
) -> ColumnReference | None:
    """Bins of about equal fullness, edges at order statistics of ``x`` (n,); fewer where values repeat. O(n log n)."""
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
    told = tuple(edges.tolist()), (), (), tuple(gaps.tolist())
    return ColumnReference(name, "number", *told, n, missing, low, high, mean, std)


def category_reference(name: str, values: pl.Series, missing: int = 0) -> ColumnReference | None:
    """A bin for each of the frequent categories, and one for the rest and what was never seen."""
    n = len(values)
    if n < LEAST:
        return None
    found = values.rename("value").value_counts(sort=True)
    found = found.sort("count", "value", descending=[True, False])
    names, counts = found["value"].cast(pl.String).to_list(), found["count"].to_numpy()
    kept = min(TOP, int((counts >= max(1.0, RAREST * n)).sum()))
    gaps = [float(c) + 0.5 for c in counts[:kept]] + [float(counts[kept:].sum()) + 0.5]
    return ColumnReference(name, "category", (), tuple(names[:kept]), tuple(names), tuple(gaps), n, missing)


def count_column(values: pl.Series, reference: ColumnReference) -> Counted:
    """Rows of a cleaned column counted into the reference's bins; O(n log K)."""
    present = values.drop_nulls()
    if reference.kind == "number":
        x = present.cast(pl.Float64, strict=False).drop_nulls().to_numpy()
        return count_numbers(x, reference, len(values) - len(x))
    counts = present.cast(pl.String).rename("value").value_counts()
    of = dict(zip(counts["value"].to_list(), counts["count"].to_list(), strict=True))
    bins = [of.get(c, 0) for c in reference.categories]
    known = set(reference.known)
    unseen = sum(n for c, n in of.items() if c not in known)
    rest = len(present) - sum(bins)
    return Counted(np.array([*bins, rest], dtype=np.int64), len(values) - len(present), unseen)


def count_numbers(x: Array, reference: ColumnReference, missing: int = 0) -> Counted:
    """The same for numbers (n,); what is not finite counts as missing."""
    finite = np.isfinite(x)
    if not finite.all():
        missing += int((~finite).sum())
        x = x[finite]
    bins = bin_counts(x, np.asarray(reference.edges, dtype=np.float64))
    low, high = reference.low, reference.high
    outside = int((x < low).sum() + (x > high).sum()) if low is not None and high is not None else 0
    if not outside or low is None or high is None:
        return Counted(bins, missing)
    wide = high - low
    far = int((x < low - wide).sum() + (x > high + wide).sum()) if wide > 0 else 0
    return Counted(bins, missing, 0, outside, far)


def references(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, ColumnReference]:
    """The reference of each named column of cleaned rows, oldest first; columns without a usable value have none."""
    found = {n: column_reference(frame[n]) for n in names if n in frame.columns and frame[n].dtype != pl.Binary}
    return {n: with_clumping(frame[n], r) for n, r in found.items() if r is not None}


def with_clumping(values: pl.Series, reference: ColumnReference) -> ColumnReference:
    """The reference with how much its rows, in the order of time, hang together (seasons, bursts, drifting sensors)."""
    n = len(values) // SHORTEST
    if n < STRETCHES:
        return reference
    short = [count_column(values[i * SHORTEST : (i + 1) * SHORTEST], reference) for i in range(n)]
    missing = np.array([(c.missing, c.rows - c.missing) for c in short])
    found = clumping(reference.coarse(np.stack([c.bins for c in short])))
    return dataclasses.replace(reference, clumped=found * CLUMP, clumped_missing=clumping(missing) * CLUMP)
