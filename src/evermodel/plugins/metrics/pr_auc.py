"""Average precision: the area under the precision-recall curve."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, check_class_rows

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "average precision"
MARGIN_UNIT = "points"


def pr_auc(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean precision at the threshold of each positive row, no interpolation; for rare positives.

    Class 1 of two; the mean over the classes that occur, of more. NaN without a positive row.
    """
    y, p = check_class_rows(y, p)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    present = np.flatnonzero(np.bincount(y, weights=w, minlength=p.shape[1]) > 0)
    if p.shape[1] == 2:
        present = present[present == 1]
    return float(np.mean([_average(y == c, p[:, c], w[None])[0] for c in present])) if len(present) else NAN


def score_resamples(y: Array, p: Array, weights: Array, /) -> Array:
    """``pr_auc`` of two classes with each of the weightings (r, n) -> (r,); the rows are sorted once."""
    y, p = check_class_rows(y, p)
    return _average(y == 1, p[:, 1], weights)


def _average(positive: Array, score: Array, weights: Array) -> Array:
    """(r,) for weights (r, n); NaN without a positive row. Rows of one score count together."""
    order = np.argsort(-score, kind="stable")
    score, weights = score[order], weights[:, order]
    ends = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    at = np.flatnonzero(positive[order])
    reached = ends[np.searchsorted(ends, at)]  # the last row with the same score
    hits = np.zeros((len(weights), len(at) + 1))
    np.cumsum(weights[:, at], axis=1, out=hits[:, 1:])
    above = hits[:, np.searchsorted(at, reached, side="right")]
    totals, seen = hits[:, -1], np.cumsum(weights, axis=1)[:, reached]
    of_each = np.divide(weights[:, at] * above, seen, out=np.zeros_like(seen), where=seen > 0)
    found = np.full(len(weights), NAN)
    np.divide(of_each.sum(axis=1), totals, out=found, where=totals > 0)
    return found
