"""Probability that a positive row scores higher than a negative one."""

from __future__ import annotations

import numpy as np

from evermodel.core.scoring import NAN, class_rows, midranks, ranked_auc
from evermodel.core.table import Array

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "AUC"
MARGIN_UNIT = "points"


def auc(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Area under the ROC curve, ties counting half; O(n log n).

    More than two classes: the mean of one-against-rest over those that occur. NaN where fewer than two occur.
    """
    y, p = class_rows(y, p)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    weights = np.bincount(y, weights=w, minlength=p.shape[1])
    present = np.flatnonzero(weights > 0)
    if len(present) < 2:
        return NAN
    if p.shape[1] == 2:
        return float(ranked_auc(y == 1, p[:, 1], w))
    return float(np.mean([ranked_auc(y == c, p[:, c], w) for c in present]))


def influence(y: Array, p: Array, /) -> Array:
    """What each row adds to the AUC's error (n,): for independent rows var(auc) is the sum of squares (DeLong).

    Where rows hang together, of the squared sums of groups (Obuchowski 1997). Source: DeLong, DeLong & Clarke-Pearson
    (1988); Sun & Xu (2014) for O(n log n).
    """
    y, p = class_rows(y, p)
    present = np.flatnonzero(np.bincount(y, minlength=p.shape[1]))
    if p.shape[1] == 2:
        return _influence(y == 1, p[:, 1])
    return np.asarray(np.mean([_influence(y == c, p[:, c]) for c in present], axis=0))


def _influence(positive: Array, score: Array) -> Array:
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = midranks(score)
    out = np.empty(len(score))
    beaten = (ranks[positive] - midranks(score[positive])) / n  # share of negatives below each positive
    kept = 1.0 - (ranks[~positive] - midranks(score[~positive])) / m  # share of positives above each negative
    # sqrt(m (m - 1)): the squares then add up to DeLong's unbiased variance
    out[positive] = (beaten - beaten.mean()) / np.sqrt(m * max(1, m - 1))
    out[~positive] = (kept - kept.mean()) / np.sqrt(n * max(1, n - 1))
    return out
