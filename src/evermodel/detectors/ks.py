"""Largest distance between two distribution functions."""

from __future__ import annotations

import numpy as np

from evermodel.core.distances import NAN, counted_shares, number_pair
from evermodel.core.reference import ColumnReference, Counted
from evermodel.core.table import Array

KINDS = ("number",)


def ks(reference: Array, current: Array, /, *, ordered: bool = False) -> float:
    """Kolmogorov-Smirnov distance of two samples (n,), (m,) of numbers, 0 to 1; exact, O(n log n).

    ``ordered``: both are sorted already. NaN where one is empty. How large is large depends on n: the monitor's
    alarms do not use it, they use evidence. Source: Smirnov (1948).
    """
    a, b = number_pair(reference, current, ordered)
    if not len(a) or not len(b):
        return NAN
    # the largest gap is at a value of either sample; each sample's own steps need no search
    at_a = np.searchsorted(b, a, side="right") / len(b) - _upto(a)
    at_b = np.searchsorted(a, b, side="right") / len(a) - _upto(b)
    return float(max(at_a.max(), -at_a.min(), at_b.max(), -at_b.min()))


def _upto(ordered: Array) -> Array:
    """Share of a sorted sample at or below each of its values."""
    n = len(ordered)
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    if len(ends) == n:
        return np.arange(1, n + 1) / n
    return np.repeat((ends + 1) / n, np.diff(np.r_[-1, ends]))


def of_counts(reference: ColumnReference, now: Counted, /) -> float | None:
    """The same from counts: at the bins' edges alone, so at most one bin's share too small. None for categories."""
    if reference.kind != "number" or not now.bins.sum():
        return None
    known, new = counted_shares(reference, now, coarse=False)
    return float(np.abs(np.cumsum(known) - np.cumsum(new)).max())
