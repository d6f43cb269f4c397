"""Arithmetic that the drift statistics share: two samples, sorted or counted into the same bins."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

NAN = float("nan")
BINS = 10
LEAST = 1e-4  # share below which a bin counts as this full, so that no logarithm is infinite


def sort_pair(reference: Array, current: Array, ordered: bool) -> tuple[Array, Array]:
    """Both samples sorted, without values that are not finite. Raises BadData unless they are numbers."""
    return _numbers(reference, ordered), _numbers(current, ordered)


def _numbers(x: Array, ordered: bool) -> Array:
    x = np.asarray(x)
    if x.ndim != 1 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise BadData(f"Numbers of the shape (n,) are needed. Got {x.dtype} {x.shape}.")
    if ordered:
        return x
    x = x[np.isfinite(x)] if np.issubdtype(x.dtype, np.floating) else x
    return np.sort(x)


def count_pair(reference: Array, current: Array, bins: int, ordered: bool = False) -> tuple[Array, Array]:
    """Counts of both samples in the same bins: equally full ones of the reference's numbers, or one a category."""
    reference, current = np.asarray(reference), np.asarray(current)
    if not (np.issubdtype(reference.dtype, np.number) and np.issubdtype(current.dtype, np.number)):
        values, codes = np.unique(np.concatenate([reference.astype(str), current.astype(str)]), return_inverse=True)
        k = len(values)
        return np.bincount(codes[: len(reference)], minlength=k), np.bincount(codes[len(reference) :], minlength=k)
    a, b = sort_pair(reference, current, ordered)
    edges = find_equal_edges(a, bins)
    return count_between(a, edges), count_between(b, edges)


def find_equal_edges(ordered: Array, bins: int) -> Array:
    """Inner edges of ``bins`` equally full bins of a sorted sample; fewer where values repeat."""
    if not len(ordered):
        return np.empty(0)
    at = np.minimum(np.arange(1, bins) * len(ordered) // bins, len(ordered) - 1)
    return np.unique(ordered[at])


def count_between(ordered: Array, edges: Array) -> Array:
    """Rows of a sorted sample in (-inf, e1], (e1, e2], …; O(K log n)."""
    return np.diff(np.r_[0, np.searchsorted(ordered, edges, side="right"), len(ordered)])


def normalize_counts(counts: Array) -> Array:
    """Counts (K,) as shares; zeros where nothing was counted."""
    return counts / max(1.0, float(counts.sum()))


def normalize_pair(reference: ColumnReference, now: ColumnCounts, coarse: bool = True) -> tuple[Array, Array]:
    """Shares of the reference and of counted rows, in the same bins."""
    before, current = np.asarray(reference.concentrations), np.asarray(now.bins)
    if coarse:
        before, current = reference.merge_bins(before), reference.merge_bins(current)
    return normalize_counts(before), normalize_counts(current)
