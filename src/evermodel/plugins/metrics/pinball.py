"""Pinball loss, whose best prediction is a quantile: predictions below the truth cost more."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_number_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "pinball loss (0.9)"
MARGIN_UNIT = "% of the loss"
LEVEL = 0.9


def per_row(y: Array, p: Array, /, level: float = LEVEL) -> Array:
    """``level`` (y - p) where the prediction is too low, (1 - level) (p - y) where it is too high -> (n,)."""
    y, p = check_number_rows(y, p)
    return np.asarray(np.maximum(level * (y - p), (level - 1.0) * (y - p)))


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's loss and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def pinball(y: Array, p: Array, /, *, weight: Array | None = None, level: float = LEVEL) -> float:
    """Mean pinball loss, in the target's unit; least for the ``level`` quantile of the truth. NaN without rows.

    At level 0.9 a prediction that is too low costs nine times as much as one that is too high by the same amount.
    At 0.5 it is half the mean absolute error. Source: Koenker & Bassett (1978).
    """
    return float(of_sums(sum_rows(append_ones(per_row(y, p, level)), weight)))
