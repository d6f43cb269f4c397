"""Probability that a positive row scores higher than a negative one."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.auc import compute_auc, compute_placements, compute_weighted_auc
from evermodel.core.stats.metric_arithmetic import NAN, check_class_rows

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "AUC"
MARGIN_UNIT = "points"


def auc(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Area under the ROC curve, ties counting half; O(n log n).

    More than two classes: the mean of one-against-rest over those that occur. NaN where fewer than two occur.
    """
    y, p = check_class_rows(y, p)
    w = None if weight is None else np.asarray(weight, dtype=np.float64)
    present = np.flatnonzero(np.bincount(y, weights=w, minlength=p.shape[1]) > 0)
    if len(present) < 2:
        return NAN
    classes = [1] if p.shape[1] == 2 else present
    if w is None:
        return float(np.mean([compute_auc(y == c, p[:, c]) for c in classes]))
    return float(np.mean([compute_weighted_auc(y == c, p[:, c], w) for c in classes]))


def influence(y: Array, p: Array, /) -> Array:
    """What each row adds to the AUC's error (n,): for independent rows var(auc) is the sum of squares (DeLong).

    For dependent rows it is the sum of the squared sums of groups (Obuchowski 1997). Source: DeLong, DeLong &
    Clarke-Pearson (1988); Sun & Xu (2014) for O(n log n).
    """
    y, p = check_class_rows(y, p)
    present = np.flatnonzero(np.bincount(y, minlength=p.shape[1]))
    if p.shape[1] == 2:
        return _influence(y == 1, p[:, 1])
    return np.asarray(np.mean([_influence(y == c, p[:, c]) for c in present], axis=0))


def _influence(positive: Array, score: Array) -> Array:
    m, n = int(positive.sum()), int((~positive).sum())
    above_negatives, below_positives = compute_placements(positive, score)
    out = np.empty(len(score))
    # sqrt(m (m - 1)): the squares then add up to DeLong's unbiased variance
    out[positive] = (above_negatives - above_negatives.mean()) / np.sqrt(m * max(1, m - 1))
    out[~positive] = (below_positives - below_positives.mean()) / np.sqrt(n * max(1, n - 1))
    return out
