"""Normalized discounted cumulative gain: how near the relevant rows are to the top of each group's ranking."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.group_ranking import TOP, average_groups, score_groups, sum_ties
from evermodel.core.stats.metric_arithmetic import NAN

HIGHER_IS_BETTER = True
TASKS = ("ranking",)
LABEL = "NDCG of the first 10"
MARGIN_UNIT = "points"


def ndcg(y: Array, p: Array, /, *, weight: Array | None = None, group: Array | None = None, top: int = TOP) -> float:
    """Normalised discounted cumulative gain of the ``top`` rows of each ``group`` (n,), 0 to 1; mean over groups.

    ``y`` (n,) says how relevant a row is (gain y, 0 or more), ``p`` (n,) is its score; tied rows share their places.
    Groups without a relevant row are left out. NaN where there are no others. O(n log n). Source: Järvelin & Kekäläinen
    (2002); ties: McSherry & Najork (2008).
    """
    return average_groups(_of_group, y, p, group, weight, top)


def each_group(y: Array, p: Array, group: Array, /) -> Array:
    """The same of each group (groups,)."""
    return score_groups(_of_group, y, p, group)


def _of_group(y: Array, p: Array, w: Array, top: int) -> float:
    best = _gain(y, y, w, top)
    return _gain(y, p, w, top) / best if best > 0 else NAN


def _gain(y: Array, score: Array, w: Array, top: int) -> float:
    gains, rows = sum_ties(score, w * y, w)
    ends = np.cumsum(rows)
    places = _discounts(ends, top) - _discounts(ends - rows, top)
    seen = rows > 0
    return float((gains[seen] / rows[seen] * places[seen]).sum())


def _discounts(places: Array, top: int) -> Array:
    """Sum of 1 / log2(1 + place) over so many places; parts of a place count as that part."""
    each = 1.0 / np.log2(np.arange(2, top + 2))
    return np.interp(places, np.arange(top + 1), np.r_[0.0, np.cumsum(each)])
