"""Share of the positive rows that are predicted to be positive."""

from __future__ import annotations

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import average_classes, divide, sum_rows
from evermodel.core.stats.metric_arithmetic import confusion_terms as sums

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "recall"
MARGIN_UNIT = "points"


def of_sums(sums: Array, /) -> Array:
    """The metric of confusion sums (…, 3k) -> (…)."""
    return average_classes(sums, lambda hit, predicted, truth: divide(hit, truth))


def recall(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Recall of class 1; with more than two classes the mean over classes. NaN where a predicted class never occurs."""
    return float(of_sums(sum_rows(sums(y, p), weight)))
