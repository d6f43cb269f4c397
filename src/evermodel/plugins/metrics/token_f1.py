"""How many words an answer shares with the reference answer, on average."""

from __future__ import annotations

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import append_ones, check_text_rows, mean_of_sums, sum_rows

HIGHER_IS_BETTER = True
TASKS = ("text",)
LABEL = "F1 of words"
MARGIN_UNIT = "points"


def per_row(y: Array, p: Array, /) -> Array:
    """2 * shared / all words of answer and reference -> (n,); normalised as SQuAD does."""
    return check_text_rows(y, p)[1][:, 2]


def sums(y: Array, p: Array, /) -> Array:
    """The terms that add up over rows: each row's part and 1 (n, 2)."""
    return append_ones(per_row(y, p))


of_sums = mean_of_sums


def token_f1(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean F1 of the words, without case, punctuation, articles and blanks. NaN without rows."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
