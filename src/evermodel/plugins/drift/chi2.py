"""Chi-square statistic of two samples' counts."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import BINS, NAN, count_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("category",)


def chi2(reference: Array, current: Array, /, *, bins: int = BINS, ordered: bool = False) -> float:
    """Pearson's statistic of the 2 x K table of counts, over categories or bins; about K - 1 without drift.

    NaN where a sample is empty. Grows with the rows: a statistic, not a size of drift. O(n log n).
    """
    return of_pair(*count_pair(reference, current, bins, ordered))


def of_pair(p: Array, q: Array) -> float:
    """The same from both samples' counts in the same bins."""
    n, m = float(p.sum()), float(q.sum())
    if not n or not m:
        return NAN
    both = p + q
    inside = both > 0
    distance = (np.sqrt(m / n) * p - np.sqrt(n / m) * q) ** 2
    return float((distance[inside] / both[inside]).sum())


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from counts; None for numbers, whose bins are many."""
    if reference.kind != "category" or not now.bins.sum():
        return None
    return of_pair(np.asarray(reference.concentrations), np.asarray(now.bins, dtype=np.float64))
