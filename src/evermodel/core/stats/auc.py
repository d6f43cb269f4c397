"""The area under the ROC curve and its error, for every part of Evermodel that needs them.

Own code: exact counts from two sorted samples take a tenth of the time of ranks, and scipy has no DeLong error.
"""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, cumulate_weights, divide


def compute_auc(positive: Array, score: Array) -> float:
    """Share of pairs in which the positive row scores higher, ties counting half; NaN without a pair. O(n log n).

    ``positive`` (n,) bool, ``score`` (n,). The counts are whole numbers, so that equal rankings give equal values.
    """
    above, below = np.sort(score[positive]), np.sort(score[~positive])
    if not len(above) or not len(below):
        return NAN
    return int(_count_twice(below, above).sum()) / (2.0 * len(above) * len(below))


def compute_auc_and_error(positive: Array, score: Array) -> tuple[float, float]:
    """The area and DeLong's standard error for independent rows; NaN without a pair. O(n log n)."""
    above, below = np.sort(score[positive]), np.sort(score[~positive])
    if not len(above) or not len(below):
        return NAN, NAN
    beaten, lost = _count_twice(below, above) / (2.0 * len(below)), _count_twice(above, below) / (2.0 * len(above))
    variances = [float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.0 for v in (beaten, lost)]
    return float(beaten.mean()), float(np.sqrt(sum(variances)))


def compute_weighted_auc(positive: Array, score: Array, weight: Array) -> Array:
    """The same (…) for row weights (…, n), a row of weight 2 counting as two rows."""
    negatives = np.where(positive, 0.0, weight)
    below, same = cumulate_weights(score, negatives)
    positives = np.where(positive, weight, 0.0)
    won = (positives * (below + 0.5 * same)).sum(axis=-1)
    return divide(won, positives.sum(axis=-1) * negatives.sum(axis=-1))


def compute_placements(positive: Array, score: Array) -> tuple[Array, Array]:
    """For each positive row the share of negative rows below it, for each negative row the share of positives above.

    (p,) and (q,), in the order of the rows. Their means are the AUC, their variances DeLong's error.
    """
    at, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    order, other_order = np.argsort(score[at]), np.argsort(score[others])
    above, below = score[at][order], score[others][other_order]
    beaten, lost = np.empty(len(at)), np.empty(len(others))
    beaten[order] = _count_twice(below, above) / (2.0 * len(below))
    lost[other_order] = 1.0 - _count_twice(above, below) / (2.0 * len(above))
    return beaten, lost


def _count_twice(ordered: Array, at: Array) -> Array:
    """Twice the number of values in a sorted sample below each value, ties counting half."""
    return np.asarray(np.searchsorted(ordered, at, "left") + np.searchsorted(ordered, at, "right"))
