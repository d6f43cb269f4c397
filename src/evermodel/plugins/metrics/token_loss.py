"""Mean negative log-likelihood of a token of the reference answers."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import check_text_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = False
TASKS = ("text",)
LABEL = "loss of a token (nats)"
MARGIN_UNIT = "% of the loss"


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: nats and tokens of each reference answer (n, 2)."""
    y, p = check_text_rows(y, p)
    return np.column_stack([p[:, 0], y])


of_sums = mean_of_sums


def token_loss(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Nats lost on a token of the reference answers, its end among them; all tokens count alike. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
