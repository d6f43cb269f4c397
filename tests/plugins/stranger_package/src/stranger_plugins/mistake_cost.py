"""What wrong answers cost: a missed positive row costs five times a false alarm."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_class_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("binary",)
LABEL = "cost of mistakes"
MARGIN_UNIT = "% of the loss"

MISSED, FALSE_ALARM = 5.0, 1.0


def per_row(y: Array, p: Array, /) -> Array:
    """The cost of each row -> (n,)."""
    y, p = check_class_rows(y, p)
    answer = p[:, 1] > 0.5
    return np.where(y == 1, np.where(answer, 0.0, MISSED), np.where(answer, FALSE_ALARM, 0.0))


def sums(y: Array, p: Array, /) -> Array:
    """The terms of each row whose sums give the metric -> (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def mistake_cost(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """The mean cost of a row; ``y`` (n,) codes, ``p`` (n, 2) probabilities. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
