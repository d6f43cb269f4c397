"""Mean negative log-likelihood of the true class."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_class_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("binary", "multiclass")
LABEL = "log loss"
MARGIN_UNIT = "% of the loss"
SMALLEST = float(np.finfo(np.float64).eps)  # a certain and wrong row costs 36 nats, not infinitely many


def per_row(y: Array, p: Array, /) -> Array:
    """Nats lost at each row -> (n,). Probabilities are brought to sum 1 and kept 2e-16 away from 0."""
    y, p = check_class_rows(y, p)
    p = np.clip(p, SMALLEST, None)
    p = p / p.sum(axis=1, keepdims=True)
    loss: Array = -np.log(np.clip(p[np.arange(len(y)), y], SMALLEST, 1.0))
    return loss


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's loss and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def log_loss(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean nats lost; ``y`` (n,) codes, ``p`` (n, k) probabilities. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
