"""Mean over the classes of the share of their rows that is right."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import confusion_terms as sums
from evermodel.core.stats.metric_arithmetic import divide, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "balanced accuracy"
MARGIN_UNIT = "points"


def of_sums(sums: Array, /) -> Array:
    """The metric of confusion sums (…, 3k) -> (…)."""
    hit, _, truth = np.split(sums, 3, axis=-1)
    share = np.where(truth > 0, hit / np.where(truth > 0, truth, 1.0), 0.0)
    return divide(share.sum(axis=-1), (truth > 0).sum(axis=-1))


def balanced_accuracy(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean recall of the classes that occur; 1/k for guessing. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
