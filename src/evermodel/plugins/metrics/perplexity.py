"""Among how many tokens the model is undecided, on average, at each token of the reference answers."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import check_text_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("text",)
LABEL = "perplexity"
MARGIN_UNIT = "% of the loss"


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: nats and tokens of each reference answer (n, 2)."""
    y, p = check_text_rows(y, p)
    return np.column_stack([p[:, 0], y])


def of_sums(sums: Array, /) -> Array:
    """exp of nats over tokens (…, 2) -> (…)."""
    return np.asarray(np.exp(mean_of_sums(sums)))


def perplexity(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """exp of the loss of a token: 1 is certain of every one. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
