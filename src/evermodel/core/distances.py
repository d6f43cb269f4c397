"""Arithmetic that the detectors share: binned shares of two samples, and areas between two distribution functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evermodel.core.errors import BadData
from evermodel.core.reference import ColumnReference, Counted
from evermodel.core.table import Array

NAN = float("nan")
BINS = 10
LEAST = 1e-4  # share below which a bin counts as this full, so that no logarithm is infinite


def number_pair(reference: Array, current: Array, ordered: bool) -> tuple[Array, Array]:
    """Both samples sorted, what is not finite left out. Raises BadData for what is no number."""
    return _numbers(reference, ordered), _numbers(current, ordered)


def _numbers(x: Array, ordered: bool) -> Array:
    x = np.asarray(x)
    if x.ndim != 1 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise BadData(f"Numbers (n,) are needed. Got {x.dtype} {x.shape}.")
    if ordered:
        return x
    x = x[np.isfinite(x)] if np.issubdtype(x.dtype, np.floating) else x
    return np.sort(x)


def share_pair(reference: Array, current: Array, bins: int, ordered: bool = False) -> tuple[Array, Array]:
    """Counts of both samples in the same bins: equally full ones of the reference's numbers, or one a category."""
    reference, current = np.asarray(reference), np.asarray(current)
    if not (np.issubdtype(reference.dtype, np.number) and np.issubdtype(current.dtype, np.number)):
        values, codes = np.unique(np.concatenate([reference.astype(str), current.astype(str)]), return_inverse=True)
        k = len(values)
        return np.bincount(codes[: len(reference)], minlength=k), np.bincount(codes[len(reference) :], minlength=k)
    a, b = number_pair(reference, current, ordered)
    edges = equal_edges(a, bins)
    return counts_between(a, edges), counts_between(b, edges)


def equal_edges(ordered: Array, bins: int) -> Array:
    """Inner edges of ``bins`` equally full bins of a sorted sample; fewer where values repeat."""
    if not len(ordered):
        return np.empty(0)
    at = np.minimum(np.arange(1, bins) * len(ordered) // bins, len(ordered) - 1)
    return np.unique(ordered[at])


def counts_between(ordered: Array, edges: Array) -> Array:
    """Rows of a sorted sample in (-inf, e1], (e1, e2], …; O(K log n)."""
    return np.diff(np.r_[0, np.searchsorted(ordered, edges, side="right"), len(ordered)])


def area_between(a: Array, b: Array, measure: Callable[[Array, Array, Array], float]) -> float:
    """``measure`` of both distribution functions at every value of two sorted samples, and those values."""
    values = np.concatenate([a, b])
    values.sort(kind="stable")  # two sorted runs: merged in O(n)
    f = np.searchsorted(a, values, side="right") / len(a)
    g = np.searchsorted(b, values, side="right") / len(b)
    return measure(f, g, values)


def shares(counts: Array) -> Array:
    return counts / max(1.0, float(counts.sum()))


def counted_shares(reference: ColumnReference, now: Counted, coarse: bool = True) -> tuple[Array, Array]:
    """Shares of the reference and of counted rows, in the same bins."""
    known, new = np.asarray(reference.gaps), np.asarray(now.bins)
    if coarse:
        known, new = reference.coarse(known), reference.coarse(new)
    return shares(known), shares(new)


def none_if_empty(now: Counted, value: Any) -> float | None:
    return float(value) if now.bins.sum() else None
