"""Mean squared error of the probabilities."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_class_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("binary", "multiclass")
LABEL = "Brier score"
MARGIN_UNIT = "% of the loss"


def per_row(y: Array, p: Array, /) -> Array:
    """Squared error of each row -> (n,): of class 1 for two classes (0 to 1), summed over classes for more (0 to 2)."""
    y, p = check_class_rows(y, p)
    if p.shape[1] == 2:
        return (p[:, 1] - y) ** 2
    loss: Array = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    return loss


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's loss and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def brier(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean squared error of the probabilities. NaN without rows. Source: Brier (1950)."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
