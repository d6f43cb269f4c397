"""Of the rows called positive, the share that are."""

from __future__ import annotations

from evermodel.core.scoring import confusion as sums
from evermodel.core.scoring import per_class, ratio, total
from evermodel.core.table import Array

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "precision"
MARGIN_UNIT = "points"


def of_sums(sums: Array, /) -> Array:
    return per_class(sums, lambda hit, predicted, truth: ratio(hit, predicted))


def precision(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Precision of class 1; with more than two classes the mean over classes. NaN where a class is never predicted."""
    return float(of_sums(total(sums(y, p), weight)))
