"""Accuracy of rows of which few or none have a label, from the model's own confidence."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

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


def from_predictors(right: Array, known: Array, whole: Array) -> Measured | None:
    """Share of right answers among all rows, some of which have a label: prediction-powered with several predictors.

    ``right`` (n,) of rows drawn at random from the ``whole``; what foretells it of these ``known`` (n, d) and of all
    rows ``whole`` (m, d): the model's confidence, a second model's. Valid however badly they foretell: the weights that
    make it narrowest are learnt, and d degrees of freedom paid. Wilson's interval at the effective number of rows.
    """
    n, d, m = len(right), known.shape[1], len(whole)
    if n < FEWEST + d or m < n:
        return None
    middle, left = known.mean(axis=0), 1.0 - n / m
    weights = np.linalg.lstsq(known - middle, right - right.mean(), rcond=None)[0] * left
    value = min(1.0, max(0.0, float(right.mean() + weights @ (whole.mean(axis=0) - middle))))
    rest = right - right.mean() - (known - middle) @ weights
    variance = max(float((rest**2).sum()) / (n - 1 - d) / n * left, 0.25 / n**2)
    inside = min(1.0 - 0.5 / n, max(0.5 / n, value))
    low, high = wilson(value * inside * (1 - inside) / variance, inside * (1 - inside) / variance)
    return Measured(value, min(low, value), max(high, value), m, estimated=True)


def wilson(hits: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share. Source: Wilson (1927), doi:10.1080/01621459.1927.10502953."""
    if n <= 0:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def from_history(all_rows: Sums, history: Sequence[Sums]) -> tuple[Measured, float] | None:
    """Accuracy of rows without labels, from the labelled rows of earlier looks, and how far confidence is believed.

    0: the accuracy of those earlier rows is told; 1: that, moved by what the model's confidence says of the new rows.
    The interval is at least as wide as what such estimates missed by before. None for fewer than 30 labelled rows.
    """
    found = from_confidence(all_rows, added(history), same_rows=False) if history else None
    if found is None:
        return None
    usual = added(history)[1] / added(history)[0]
    share, missed = belief(history)
    value = usual + share * (found.value - usual)
    reach = max((found.high - found.low) / 2.0, normal_quantile(0.975) * missed)
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return dataclasses.replace(found, value=value, low=low, high=high), share


def belief(history: Sequence[Sums]) -> tuple[float, float]:
    """What confidence foretold of each labelled look, held against what came true: its share (0 to 1), root mean square
    of what was missed. The share is a regression through 0 that begins at 0: unproven, confidence moves nothing.
    """
    tried = []
    for i in range(1, len(history)):
        before = added(history[:i])
        guess = from_confidence(history[i], before, same_rows=False)
        n, right = history[i][:2]
        if guess is None or n < FEWEST:
            continue
        usual = before[1] / before[0]
        noise = max(usual * (1.0 - usual), 0.01) * (1.0 / n + 1.0 / before[0])
        tried.append((right / n - usual, guess.value - usual, noise))
    if not tried:
        return 0.0, 0.0
    came, told, noise_ = np.array(tried).T
    share = min(1.0, max(0.0, float((came * told / noise_).sum()) / (float((told**2 / noise_).sum()) + 1.0)))
    return share, float(np.sqrt(((came - share * told) ** 2).mean()))


def added(sums: Sequence[Sums]) -> Sums:
    """Sums of several stretches of rows together."""
    n, right, f, rr, rf, ff = (float(v) for v in np.sum(sums, axis=0))
    return n, right, f, rr, rf, ff
