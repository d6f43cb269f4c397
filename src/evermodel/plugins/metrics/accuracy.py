"""Share of rows whose most probable class is the true one."""

from __future__ import annotations

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_class_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "accuracy"
MARGIN_UNIT = "points"


def per_row(y: Array, p: Array, /) -> Array:
    """1 where the row is right, else 0 -> (n,). Of equally probable classes the first counts."""
    y, p = check_class_rows(y, p)
    right: Array = (p.argmax(axis=1) == y).astype(float)
    return right


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's accuracy and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def accuracy(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Share of right rows; ``y`` (n,) codes, ``p`` (n, k) probabilities. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
