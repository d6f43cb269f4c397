"""Share of rows whose most probable class is the true one."""

from __future__ import annotations

from evermodel.core.scoring import class_rows, mean_of, total, with_ones
from evermodel.core.table import Array

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "accuracy"
MARGIN_UNIT = "points"


def per_row(y: Array, p: Array, /) -> Array:
    """1 where the row is right, else 0 -> (n,). Of equally probable classes the first counts."""
    y, p = class_rows(y, p)
    right: Array = (p.argmax(axis=1) == y).astype(float)
    return right


def sums(y: Array, p: Array, /) -> Array:
    return with_ones(per_row(y, p))


of_sums = mean_of


def accuracy(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Share of right rows; ``y`` (n,) codes, ``p`` (n, k) probabilities. NaN without rows."""
    return float(of_sums(total(sums(y, p), weight)))
