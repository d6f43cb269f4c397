"""Distance of two distributions that is finite even where they do not overlap."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import BINS, NAN, count_pair, normalize_counts, normalize_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("number", "category")


def jensen_shannon(reference: Array, current: Array, /, *, bins: int = BINS, ordered: bool = False) -> float:
    """Square root of the Jensen-Shannon divergence in bits, 0 to 1, over the reference's equally full bins.

    Categories have a bin each. NaN where a sample is empty. Source: Endres & Schindelin (2003). O(n log n).
    """
    return of_pair(*count_pair(reference, current, bins, ordered))


def of_pair(p: Array, q: Array) -> float:
    """The same from both samples' counts in the same bins."""
    return _distance(normalize_counts(p), normalize_counts(q)) if p.sum() and q.sum() else NAN


def _distance(p: Array, q: Array) -> float:
    middle = (p + q) / 2.0
    bits = 0.0
    for x in (p, q):
        inside = x > 0
        bits += float((x[inside] * np.log2(x[inside] / middle[inside])).sum()) / 2.0
    return float(np.sqrt(max(0.0, bits)))


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from counts."""
    return _distance(*normalize_pair(reference, now)) if now.bins.sum() else None
