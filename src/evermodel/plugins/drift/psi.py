"""Population stability index: how much the shares of the bins moved."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import BINS, LEAST, NAN, count_pair, normalize_counts, normalize_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("number", "category")


def psi(reference: Array, current: Array, /, *, bins: int = BINS, least: float = LEAST, ordered: bool = False) -> float:
    """Sum of (q - p) log(q / p) over equally full bins of the reference, or over categories; 0 for the same shares.

    ``least``: a bin's smallest share, so that no logarithm is infinite. NaN where a sample is empty. Grows with 1 / m
    on rows without drift: do not hold few rows against a fixed threshold. O(n log n).
    """
    return of_pair(*count_pair(reference, current, bins, ordered), least)


def of_pair(p: Array, q: Array, least: float = LEAST) -> float:
    """The same from both samples' counts in the same bins."""
    return _psi(normalize_counts(p), normalize_counts(q), least) if p.sum() and q.sum() else NAN


def _psi(p: Array, q: Array, least: float) -> float:
    p, q = np.maximum(p, least), np.maximum(q, least)
    return float(((q - p) * np.log(q / p)).sum())


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from counts."""
    return _psi(*normalize_pair(reference, now), LEAST) if now.bins.sum() else None
