"""Mean over the classes of the share of their rows that is right."""

from __future__ import annotations

import numpy as np

from evermodel.core.scoring import confusion as sums
from evermodel.core.scoring import ratio, total
from evermodel.core.table import Array

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "balanced accuracy"
MARGIN_UNIT = "points"


def of_sums(sums: Array, /) -> Array:
    hit, _, truth = np.split(sums, 3, axis=-1)
    share = np.where(truth > 0, hit / np.where(truth > 0, truth, 1.0), 0.0)
    return ratio(share.sum(axis=-1), (truth > 0).sum(axis=-1))


def balanced_accuracy(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean recall of the classes that occur; 1/k for guessing. NaN without rows."""
    return float(of_sums(total(sums(y, p), weight)))
