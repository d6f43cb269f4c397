"""Expected calibration error: how far predicted probabilities are from observed frequencies."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, check_class_rows

HIGHER_IS_BETTER = False
TASKS = ("binary", "multiclass")
LABEL = "calibration error"
MARGIN_UNIT = "points"
BINS = 15


def calibration_error(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Expected calibration error over 15 bins of equal width: 0 is calibrated, 1 the worst. NaN without rows.

    Of class 1 for two classes, of the most probable class for more. With few rows it is biased upwards, so
    compare two models rather than read the value. Source: Naeini, Cooper & Hauskrecht (2015).
    """
    y, p = check_class_rows(y, p)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not w.sum() > 0:
        return NAN
    predicted = p[:, 1] if p.shape[1] == 2 else p.max(axis=1)
    observed = y == 1 if p.shape[1] == 2 else p.argmax(axis=1) == y
    bins = np.clip((predicted * BINS).astype(int), 0, BINS - 1)
    gap = np.bincount(bins, weights=w * (predicted - observed), minlength=BINS)
    return float(np.abs(gap).sum() / w.sum())


def score_resamples(y: Array, p: Array, weights: Array, /) -> Array:
    """``calibration_error`` of two classes with each of the weightings (r, n) -> (r,)."""
    y, p = check_class_rows(y, p)
    gaps = np.zeros((len(y), BINS))
    bins = np.clip((p[:, 1] * BINS).astype(int), 0, BINS - 1)
    gaps[np.arange(len(y)), bins] = p[:, 1] - (y == 1)
    totals = weights.sum(axis=1)
    found = np.full(len(weights), NAN)
    np.divide(np.abs(weights @ gaps).sum(axis=1), totals, out=found, where=totals > 0)
    return found


def tabulate_groups(y: Array, p: Array, codes: Array, n_groups: int, /) -> Array:
    """(n_groups, bins + 1): what is predicted too much in each bin, and the rows. Exact."""
    y, p = check_class_rows(y, p)
    bins = np.clip((p[:, 1] * BINS).astype(int), 0, BINS - 1)
    gaps = np.bincount(codes * BINS + bins, weights=p[:, 1] - (y == 1), minlength=n_groups * BINS)
    rows = np.bincount(codes, minlength=n_groups)
    return np.column_stack([gaps.reshape(n_groups, BINS), rows])


def score_tables(tables: Array, /) -> Array:
    """``calibration_error`` of sums of groups' tables (r, bins + 1) -> (r,)."""
    found = np.full(len(tables), NAN)
    totals = tables[:, -1]
    np.divide(np.abs(tables[:, :-1]).sum(axis=1), totals, out=found, where=totals > 0)
    return found
