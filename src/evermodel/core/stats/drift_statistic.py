"""What a drift plugin is: one number that says how far the current rows moved from the reference rows."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from evermodel.core.arrays import Array
from evermodel.core.plugins import FunctionKind
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference


class DriftStatistic(Protocol):
    """The function of a drift plugin: two samples, (n,) values or (n, d) points, to a number; 0 without drift.

    The number grows with the drift and is NaN where a sample is empty.
    """

    def __call__(self, reference: Array, current: Array, /, **settings: Any) -> float: ...


class DriftModule(Protocol):
    """The module of a drift plugin."""

    __name__: str
    KINDS: tuple[str, ...]  # of the samples it compares, out of "number", "category" and "rows"


DRIFT_STATISTICS: FunctionKind[DriftStatistic, DriftModule] = FunctionKind("drift", DriftModule)


@runtime_checkable
class OfCounts(Protocol):
    """A statistic that can be computed from counts in the reference's bins, without the rows; None without rows."""

    def of_counts(self, reference: ColumnReference, now: ColumnCounts, /) -> float | None: ...


@runtime_checkable
class OfCategoryCounts(Protocol):
    """A statistic that can be computed from the rows of each category, (categories,) before and now."""

    def of_pair(self, p: Array, q: Array, /) -> float: ...


@runtime_checkable
class OfSums(Protocol):
    """A statistic of whole rows that can be computed from sums (m,) over each sample's rows."""

    def sums(self, x: Array, /) -> Array: ...
    def of_sums(self, a: Array, b: Array, /) -> float: ...
