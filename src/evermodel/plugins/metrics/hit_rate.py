"""Share of the groups in which a relevant row is among the first."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.group_ranking import TOP, average_groups, score_groups, sum_ties
from evermodel.core.stats.metric_arithmetic import NAN

HIGHER_IS_BETTER = True
TASKS = ("ranking",)
LABEL = "hit rate of the first 10"
MARGIN_UNIT = "points"


def hit_rate(
    y: Array, p: Array, /, *, weight: Array | None = None, group: Array | None = None, top: int = TOP
) -> float:
    """Share of groups with a relevant row (``y`` (n,) above 0) among the ``top`` scores ``p`` (n,) of the ``group``.

    Tied rows at the edge count by the chance that one of the relevant ones gets in. Groups without a relevant row are
    left out, and so are those of no more than ``top`` rows. NaN where there are no others. O(n log n).
    """
    return average_groups(_of_group, y, p, group, weight, top)


def each_group(y: Array, p: Array, group: Array, /) -> Array:
    """The same of each group (groups,)."""
    return score_groups(_of_group, y, p, group)


def _of_group(y: Array, p: Array, w: Array, top: int) -> float:
    relevant, rows = sum_ties(p, w * (y > 0), w)
    if not relevant.sum() > 0 or rows.sum() <= top:
        return NAN
    before = np.cumsum(rows) - rows
    if relevant[before + rows <= top].sum() > 0:
        return 1.0
    edge = np.flatnonzero((before < top) & (before + rows > top))
    return _some(rows[edge[0]], relevant[edge[0]], top - before[edge[0]]) if len(edge) else 0.0


def _some(rows: float, relevant: float, places: float) -> float:
    """Chance that one of the relevant rows is among so many drawn ones."""
    others = rows - relevant
    if relevant <= 0:
        return 0.0
    if others < places:
        return 1.0
    parts = np.array([others, rows - places, others - places, rows]) + 1.0
    from scipy.special import gammaln

    a, b, c, d = gammaln(parts)
    return float(1.0 - np.exp(a + b - c - d))
