"""A drift statistic: the Hellinger distance of two samples."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import BINS, NAN, count_pair, normalize_counts, normalize_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("number", "category")


def hellinger(reference: Array, current: Array, /, *, bins: int = BINS) -> float:
    """From 0 (the same shares) to 1 (nothing in common), over equally full bins of the reference, or categories."""
    return of_pair(*count_pair(reference, current, bins))


def of_pair(p: Array, q: Array) -> float:
    """The same from the counts of both samples in the same bins; NaN where a sample is empty."""
    if not p.sum() or not q.sum():
        return NAN
    return _distance(normalize_counts(p), normalize_counts(q))


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from what a monitor counted, without the rows; None without rows."""
    return _distance(*normalize_pair(reference, now)) if now.bins.sum() else None


def _distance(p: Array, q: Array) -> float:
    return float(np.sqrt(0.5 * np.square(np.sqrt(p) - np.sqrt(q)).sum()))
