"""Share of answers that are the reference answer, word for word."""

from __future__ import annotations

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_text_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("text",)
LABEL = "exact match"
MARGIN_UNIT = "points"


def per_row(y: Array, p: Array, /) -> Array:
    """1 where the answer is the reference, else 0 -> (n,); normalised as SQuAD does."""
    return check_text_rows(y, p)[1][:, 1]


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's part and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def exact_match(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Share of equal answers, without case, punctuation, articles and blanks. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
