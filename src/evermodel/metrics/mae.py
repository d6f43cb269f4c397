"""Mean absolute error."""

from __future__ import annotations

import numpy as np

from evermodel.core.scoring import mean_of, number_rows, total, with_ones
from evermodel.core.table import Array

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "mean absolute error"
MARGIN_UNIT = "% of the loss"


def per_row(y: Array, p: Array, /) -> Array:
    """Absolute error of each row -> (n,), in the target's unit."""
    y, p = number_rows(y, p)
    loss: Array = np.abs(p - y)
    return loss


def sums(y: Array, p: Array, /) -> Array:
    return with_ones(per_row(y, p))


of_sums = mean_of


def mae(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean absolute error, in the target's unit. NaN without rows."""
    return float(of_sums(total(sums(y, p), weight)))
