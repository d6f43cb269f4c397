"""Largest distance between two distribution functions."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import NAN, normalize_pair, sort_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("number",)
STEP = 128  # values between two that are compared first


def ks(reference: Array, current: Array, /, *, ordered: bool = False) -> float:
    """Kolmogorov-Smirnov distance of two samples (n,), (m,) of numbers, 0 to 1; exact, O(n log n).

    ``ordered``: both are sorted already. NaN where one is empty. How large is large depends on n: the monitor's
    alarms do not use it, they use evidence. Source: Smirnov (1948).
    """
    a, b = sort_pair(reference, current, ordered)
    if not len(a) or not len(b):
        return NAN
    if len(a) > len(b):
        a, b = b, a
    return _largest_gap(a, b)


def _largest_gap(a: Array, b: Array) -> float:
    """Exact, without a search for every value (``bench/watch_speed.py``: faster than scipy's).

    The gap is largest at, or just before, a value of ``a``.

    Between two values ``STEP`` apart it is bounded by both ends; only stretches whose bound is above the largest gap
    found are looked into.
    """
    at = np.unique(np.r_[np.arange(0, len(a), STEP), len(a) - 1])
    (f, f_before), (g, g_before) = _functions(a, a[at]), _functions(b, a[at])
    best = max(float((f - g).max()), float((g_before - f_before).max()))
    bound = np.maximum(f[1:] - g[:-1], g_before[1:] - f_before[:-1])
    order = np.argsort(-bound)
    for some in np.array_split(order, max(1, len(order) // 64)):
        some = some[bound[some] > best]
        if not len(some):
            break  # the bounds fall: nothing larger is left
        inside = a[np.minimum(at[some][:, None] + np.arange(1, STEP), len(a) - 1).ravel()]
        (f, f_before), (g, g_before) = _functions(a, inside), _functions(b, inside)
        best = max(best, float((f - g).max()), float((g_before - f_before).max()))
    return max(best, 0.0)


def _functions(ordered: Array, at: Array) -> tuple[Array, Array]:
    """Share of a sorted sample up to each value, and below it."""
    n = len(ordered)
    return np.searchsorted(ordered, at, side="right") / n, np.searchsorted(ordered, at, side="left") / n


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from counts: at the bins' edges alone, so at most one bin's share too small. None for categories."""
    if reference.kind != "number" or not now.bins.sum():
        return None
    before, current = normalize_pair(reference, now, coarse=False)
    return float(np.abs(np.cumsum(before) - np.cumsum(current)).max())
