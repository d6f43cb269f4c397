"""Root of the mean squared error."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_number_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "root mean squared error"
MARGIN_UNIT = "% of the loss"


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's squared error and 1 (n, 2)."""
    y, p = check_number_rows(y, p)
    return append_ones((p - y) ** 2)


def of_sums(sums: Array, /) -> Array:
    """The metric of summed terms (…, 2) -> (…)."""
    return np.sqrt(mean_of_sums(sums))


def rmse(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Root mean squared error, in the target's unit. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
