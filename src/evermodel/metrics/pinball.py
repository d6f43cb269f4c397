"""Loss that asks for a quantile: answers below the truth cost more."""

from __future__ import annotations

import numpy as np

from evermodel.core.scoring import mean_of, number_rows, total, with_ones
from evermodel.core.table import Array

HIGHER_IS_BETTER = False
TASKS = ("regression",)
LABEL = "pinball loss (0.9)"
MARGIN_UNIT = "% of the loss"
LEVEL = 0.9


def per_row(y: Array, p: Array, /, level: float = LEVEL) -> Array:
    """``level`` (y - p) where the answer is too low, (1 - level) (p - y) where it is too high -> (n,)."""
    y, p = number_rows(y, p)
    return np.asarray(np.maximum(level * (y - p), (level - 1.0) * (y - p)))


def sums(y: Array, p: Array, /) -> Array:
    return with_ones(per_row(y, p))


of_sums = mean_of


def pinball(y: Array, p: Array, /, *, weight: Array | None = None, level: float = LEVEL) -> float:
    """Mean pinball loss, in the target's unit; least for the ``level`` quantile of the truth. NaN without rows.

    Of a model that answers the mean it says what it costs to fall short, nine times as much as to exceed (level 0.9).
    At 0.5 it is half the mean absolute error. Source: Koenker & Bassett (1978).
    """
    return float(of_sums(total(with_ones(per_row(y, p, level)), weight)))
