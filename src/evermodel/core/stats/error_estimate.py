"""Estimates the absolute error on rows without labels, from earlier labelled rows that resemble them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.records.monitoring import MetricValue
from evermodel.core.stats.distributions import t_quantile

FEWEST = 30  # labelled rows of a window
WINDOWS = 3  # estimated before, below which there is no interval: the error of the estimate is unknown
NEWEST = 30  # windows that are used
RIDGE = 10.0  # rows by which the mean of a group is shrunk towards the mean of all


@dataclass(frozen=True)
class ErrorSums:
    """Sums over the labelled rows of one window, by error group (K,): how many, and their absolute errors."""

    rows: tuple[float, ...]
    errors: tuple[float, ...]


def sum_errors(error_groups: Array, error: Array, of: int) -> ErrorSums:
    """From each row's error group (n,), 0 … ``of`` - 1, and its absolute error (n,)."""
    n = np.bincount(error_groups, minlength=of).astype(float)
    return ErrorSums(tuple(n.tolist()), tuple(np.bincount(error_groups, weights=error, minlength=of).tolist()))


def estimate_error(error_groups: Array, history: Sequence[ErrorSums]) -> tuple[MetricValue, float] | None:
    """Mean absolute error of rows (n,) of known error groups, and the trust in these groups (0 to 1).

    Trust 0: the mean error of the earlier labelled rows; 1: that of rows of the same groups. It is fitted to how well
    the groups predicted the error of earlier windows, and the interval is as wide as they missed it; None for fewer
    than three windows. Concept drift does not show: rows that look as before and are predicted worse.
    """
    usable = [h for h in history if sum(h.rows) >= FEWEST][-NEWEST:]
    if not len(error_groups) or len(usable) < WINDOWS + 1:
        return None
    shares = [np.asarray(h.rows) / sum(h.rows) for h in usable]
    pairs = []
    for i in range(1, len(usable)):
        usual, by_group = _group_means(usable[:i])
        pairs.append((sum(usable[i].errors) / sum(usable[i].rows) - usual, float(shares[i] @ by_group) - usual, usual))
    observed, predicted, scale = np.array(pairs).T
    noise = 0.01 * float(np.mean(scale)) ** 2
    share = min(1.0, max(0.0, float((observed * predicted).sum()) / (float((predicted**2).sum()) + noise)))
    rms_error = math.sqrt(float(((observed - share * predicted) ** 2).mean()))
    usual, by_group = _group_means(usable)
    now = np.bincount(error_groups, minlength=len(by_group)) / len(error_groups)
    value = max(0.0, usual + share * (float(now @ by_group) - usual))
    reach = t_quantile(0.975, len(pairs)) * rms_error * math.sqrt(1.0 + 1.0 / len(pairs))
    return MetricValue(value, max(0.0, value - reach), value + reach, len(error_groups), estimated=True), share


def _group_means(usable: Sequence[ErrorSums]) -> tuple[float, Array]:
    rows, errors = (np.sum([getattr(h, f) for h in usable], axis=0) for f in ("rows", "errors"))
    usual = float(errors.sum() / rows.sum())
    return usual, np.asarray((errors + RIDGE * usual) / (rows + RIDGE))
