"""Harmonic mean of precision and recall."""

from __future__ import annotations

from evermodel.core.scoring import confusion as sums
from evermodel.core.scoring import per_class, ratio, total
from evermodel.core.table import Array

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "F1"
MARGIN_UNIT = "points"


def of_sums(sums: Array, /) -> Array:
    return per_class(sums, lambda hit, predicted, truth: ratio(2.0 * hit, predicted + truth))


def f1(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """F1 of class 1; with more than two classes the mean over classes. NaN where it never occurs nor is predicted."""
    return float(of_sums(total(sums(y, p), weight)))
