"""Root of the mean squared error."""

from __future__ import annotations

import numpy as np

from evermodel.core.scoring import mean_of, number_rows, total, with_ones
from evermodel.core.table import Array

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "root mean squared error"
MARGIN_UNIT = "% of the loss"


def sums(y: Array, p: Array, /) -> Array:
    y, p = number_rows(y, p)
    return with_ones((p - y) ** 2)


def of_sums(sums: Array, /) -> Array:
    return np.sqrt(mean_of(sums))


def rmse(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Root mean squared error, in the target's unit. NaN without rows."""
    return float(of_sums(total(sums(y, p), weight)))
