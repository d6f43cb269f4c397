"""Accuracy of rows of which few or none have a label, from the model's own confidence."""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.monitoring import Measured
from evermodel.core.statistics import normal_quantile
from evermodel.core.table import Array

FEWEST = 30  # labelled rows
Sums = tuple[
    float, float, float, float, float, float
]  # n, right, confidence, right^2, right x confidence, confidence^2


def sums_of(right: Array, confidence: Array) -> Sums:
    """What is kept of labelled rows: ``right`` (n,) 0 or 1 and the probability (n,) of the answer. Adds up."""
    r, f = right.astype(np.float64), confidence.astype(np.float64)
    return (
        float(len(r)),
        float(r.sum()),
        float(f.sum()),
        float((r * r).sum()),
        float((r * f).sum()),
        float((f * f).sum()),
    )


def from_confidence(all_rows: Sums, labelled: Sums, *, same_rows: bool) -> Measured | None:
    """Accuracy of all rows: their mean confidence, corrected by its error on labelled rows; None for fewer than 30.

    ``same_rows``: the labelled rows were drawn from these very rows; then the correction is valid whatever happened
    (prediction-powered inference, with the weight that makes the interval narrowest). Else they are earlier rows, and
    the estimate is blind to a change of concept. Source: Angelopoulos, Duchi & Zrnic (2023), arXiv:2311.01453.
    """
    n, right, f, rr, rf, ff = labelled
    m, mean = all_rows[0], all_rows[2] / max(all_rows[0], 1.0)
    if n < FEWEST or not m:
        return None
    accuracy, usual = right / n, f / n
    var_f, cov = max(0.0, ff / n - usual**2), rf / n - accuracy * usual
    share = n / m if same_rows else 0.0
    weight = min(1.0, max(0.0, cov / var_f * (1.0 - share))) if var_f > 0 else 0.0
    value = accuracy + weight * (mean - usual)
    var_r = max(0.0, rr / n - accuracy**2)
    left = max(0.0, var_r - 2 * weight * cov + weight**2 * var_f) / n
    spread = max(0.0, all_rows[5] / m - mean**2)
    reach = normal_quantile(0.975) * math.sqrt(left + (weight**2 * spread / m) * (0.0 if same_rows else 1.0))
    reach = max(reach, 0.5 / n)
    return Measured(min(1.0, max(0.0, value)), max(0.0, value - reach), min(1.0, value + reach), int(m), estimated=True)
