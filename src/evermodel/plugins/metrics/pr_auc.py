"""Average precision: the area under the precision-recall curve."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, check_class_rows, cumulate_weights

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
    return float(np.mean([_average(y == c, p[:, c], w) for c in present])) if len(present) else NAN


def _average(positive: Array, score: Array, weight: Array) -> float:
    positives = np.where(positive, weight, 0.0)
    above, same = cumulate_weights(-score, np.stack([positives, weight]))  # (2, n) each: of the positive rows, of all
    reached = above + same
    at = positives > 0
    return float((positives[at] * reached[0, at] / reached[1, at]).sum() / positives.sum())
