"""Share of the target's variance that the predictions explain."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, check_number_rows, divide, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("regression",)
LABEL = "R2"
MARGIN_UNIT = "% of the loss"


def sums(y: Array, p: Array, /) -> Array:
    """(n, 4): squared error, y, y squared, 1; y is centred first, so that nothing is lost to rounding."""
    y, p = check_number_rows(y, p)
    error = p - y
    centred = y - y.mean() if len(y) else y
    return np.column_stack([error**2, centred, centred**2, np.ones(len(y))])


def of_sums(sums: Array, /) -> Array:
    """The metric of summed terms (…, 4) -> (…)."""
    errors, first, second, n = np.moveaxis(sums, -1, 0)
    variance = second - first * np.where(n > 0, first / np.maximum(n, 1e-300), NAN)
    return 1.0 - divide(errors, np.where(variance > 1e-12 * second, variance, 0.0))


def r2(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """1 - squared error / squared deviation from the rows' own mean. NaN where the target does not vary."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
