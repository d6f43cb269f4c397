"""How far values have to be moved, on average, to turn one distribution into the other."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import NAN, normalize_pair, sort_pair
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference

KINDS = ("number",)


def wasserstein(reference: Array, current: Array, /, *, ordered: bool = False) -> float:
    """First Wasserstein distance of two samples (n,), (m,) in the column's own unit; exact, O(n log n).

    ``ordered``: both are sorted already; then it is faster than scipy's. NaN where one is empty. Where both have as
    many rows it is the mean distance of the sorted values.
    """
    a, b = sort_pair(reference, current, ordered)
    if not len(a) or not len(b):
        return NAN
    if len(a) == len(b):
        return float(np.abs(a - b).mean(dtype=np.float64))
    values = np.concatenate([a, b])
    values.sort(kind="stable")
    f = np.searchsorted(a, values[:-1], side="right") / len(a)
    g = np.searchsorted(b, values[:-1], side="right") / len(b)
    return float(np.abs(f - g) @ np.diff(values).astype(np.float64))


def of_counts(reference: ColumnReference, now: ColumnCounts, /) -> float | None:
    """The same from counts, rows spread evenly within the bins; None for categories."""
    if reference.kind != "number" or not now.bins.sum() or len(reference.edges) < 2:
        return None
    before, current = normalize_pair(reference, now, coarse=False)
    gap = np.abs(np.cumsum(before) - np.cumsum(current))[:-1]
    edges = np.asarray(reference.edges)
    return float(((gap[1:] + gap[:-1]) / 2) @ np.diff(edges))
