"""Share of the people's votes for a model's answers, of two models side by side."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_number_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("votes",)
LABEL = "share of votes"
MARGIN_UNIT = "points"


def per_row(y: Array, p: Array, /) -> Array:
    """1 where the answer was preferred, 0.5 where both were alike, 0 where the other one was -> (n,)."""
    return np.asarray(check_number_rows(y, p)[1])


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's vote and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def votes(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean vote; ``y`` (n,) is 1 in each row: no answer can win more. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
