"""A metric that scores a prediction that is NaN."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from stranger_plugins import mistake_cost as whole

HIGHER_IS_BETTER, TASKS, LABEL, MARGIN_UNIT = False, whole.TASKS, whole.LABEL, whole.MARGIN_UNIT


def mistake_cost(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """NaN becomes 0.5 without a word."""
    return whole.mistake_cost(y, np.nan_to_num(p, nan=0.5), weight=weight)
