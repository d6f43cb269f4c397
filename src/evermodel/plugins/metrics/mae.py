"""Mean absolute error."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_number_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "mean absolute error"
MARGIN_UNIT = "% of the loss"


def per_row(y: Array, p: Array, /) -> Array:
    """Absolute error of each row -> (n,), in the target's unit."""
    y, p = check_number_rows(y, p)
    loss: Array = np.abs(p - y)
    return loss


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's error and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def mae(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean absolute error, in the target's unit. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
