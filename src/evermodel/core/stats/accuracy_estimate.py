"""Estimates the accuracy on rows of which few or none have a label, from the model's own confidence."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.records.monitoring import MetricValue
from evermodel.core.stats.distributions import normal_quantile, t_quantile, wilson_interval

MIN_LABELLED = 30  # labelled rows
Sums = tuple[
    float, float, float, float, float, float
]  # n, right, confidence, right^2, right x confidence, confidence^2


def sum_confidences(right: Array, confidence: Array) -> Sums:
    """Sums over labelled rows: ``right`` (n,) 0 or 1 and the probability (n,) of the predicted class. Sums add up."""
    r, f = right.astype(np.float64), confidence.astype(np.float64)
    return (
        float(len(r)),
        float(r.sum()),
        float(f.sum()),
        float((r * r).sum()),
        float((r * f).sum()),
        float((f * f).sum()),
    )


def estimate_from_confidence(all_rows: Sums, labelled: Sums, *, same_rows: bool) -> MetricValue | None:
    """Accuracy of all rows: their mean confidence, corrected by its error on labelled rows; None for fewer than 30.

    ``same_rows``: the labelled rows were drawn from these very rows; then the correction is valid whatever happened
    (prediction-powered inference, with the weight that makes the interval narrowest). Else they are earlier rows, and
    the estimate is blind to a change of concept. Source: Angelopoulos, Duchi & Zrnic (2023), arXiv:2311.01453.
    """
    n, right, f, rr, rf, ff = labelled
    m, mean = all_rows[0], all_rows[2] / max(all_rows[0], 1.0)
    if n < MIN_LABELLED or not m:
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
    return MetricValue(
        min(1.0, max(0.0, value)), max(0.0, value - reach), min(1.0, value + reach), int(m), estimated=True
    )


def estimate_from_predictors(right: Array, labelled: Array, all_rows: Array) -> MetricValue | None:
    """Accuracy of all rows, some of which have a label: prediction-powered inference with several predictors.

    ``right`` (n,): whether each labelled row, drawn at random from all rows, is predicted correctly. ``labelled``
    (n, d) and ``all_rows`` (m, d) hold predictors of it: the model's confidence, a second model's. The estimate is
    valid however bad these are: the weights of the narrowest interval are fitted, at the cost of d degrees of freedom.
    Wilson's interval at the effective number of rows.
    """
    n, d, m = len(right), labelled.shape[1], len(all_rows)
    if n < MIN_LABELLED + d or m < n:
        return None
    middle, left = labelled.mean(axis=0), 1.0 - n / m
    weights = np.linalg.lstsq(labelled - middle, right - right.mean(), rcond=None)[0] * left
    value = min(1.0, max(0.0, float(right.mean() + weights @ (all_rows.mean(axis=0) - middle))))
    rest = right - right.mean() - (labelled - middle) @ weights
    unsure = t_quantile(0.975, n - 1 - d) / normal_quantile(0.975)  # the scatter is itself an estimate
    variance = max(float((rest**2).sum()) / (n - 1 - d) / n * left * unsure**2, 0.25 / n**2)
    inside = min(1.0 - 0.5 / n, max(0.5 / n, value))
    low, high = wilson_interval(value * inside * (1 - inside) / variance, inside * (1 - inside) / variance)
    return MetricValue(value, min(low, value), max(high, value), m, estimated=True)


def estimate_from_history(all_rows: Sums, history: Sequence[Sums]) -> tuple[MetricValue, float] | None:
    """Accuracy of rows without labels, from the labelled rows of earlier windows, and the trust in confidence.

    Trust 0: the accuracy of the earlier rows; 1: that, moved by what the model's confidence says of the new rows. The
    interval is at least as wide as the error of such estimates before. None for fewer than 30 labelled rows.
    """
    estimate = estimate_from_confidence(all_rows, add_sums(history), same_rows=False) if history else None
    if estimate is None:
        return None
    usual = add_sums(history)[1] / add_sums(history)[0]
    trust, rms_error = fit_trust(history)
    value = usual + trust * (estimate.value - usual)
    reach = max((estimate.high - estimate.low) / 2.0, normal_quantile(0.975) * rms_error)
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return dataclasses.replace(estimate, value=value, low=low, high=high), trust


def fit_trust(history: Sequence[Sums]) -> tuple[float, float]:
    """How far estimates from confidence agreed with the labels of each window: trust (0 to 1), and their RMS error.

    The trust is a regression through 0 that starts at 0: as long as it is unproven, confidence moves nothing.
    """
    tried = []
    for i in range(1, len(history)):
        before = add_sums(history[:i])
        guess = estimate_from_confidence(history[i], before, same_rows=False)
        n, right = history[i][:2]
        if guess is None or n < MIN_LABELLED:
            continue
        usual = before[1] / before[0]
        noise = max(usual * (1.0 - usual), 0.01) * (1.0 / n + 1.0 / before[0])
        tried.append((right / n - usual, guess.value - usual, noise))
    if not tried:
        return 0.0, 0.0
    observed, predicted, noise_ = np.array(tried).T
    slope = float((observed * predicted / noise_).sum()) / (float((predicted**2 / noise_).sum()) + 1.0)
    trust = min(1.0, max(0.0, slope))
    return trust, float(np.sqrt(((observed - trust * predicted) ** 2).mean()))


def add_sums(sums: Sequence[Sums]) -> Sums:
    """The sums over several windows together."""
    n, right, f, rr, rf, ff = (float(v) for v in np.sum(sums, axis=0))
    return n, right, f, rr, rf, ff
