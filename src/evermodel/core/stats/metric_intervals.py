"""One model's metric on labelled rows, with its 95 % confidence interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.records.monitoring import MetricValue
from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.auc import compute_auc_and_error
from evermodel.core.stats.distributions import normal_quantile, t_quantile, wilson_interval
from evermodel.core.stats.label_sampling import estimate_share, sampling_weights
from evermodel.core.stats.metric import METRICS
from evermodel.core.stats.metric_arithmetic import NAN

GROUPS = 1_000  # beyond so many rows, the bootstrap draws groups of rows
OF_ANSWERS = ("accuracy", "precision", "recall", "f1")
REDRAWN = 200  # resamples of the sampled rows
CELLS = 4_000_000  # weights of rows that are held at a time
FEWEST = 10  # rows below which the bootstrap gives no interval


def measure_metric(metric: str, y: Array, p: Array, *, confidence: float = 0.95, seed: int = 0) -> MetricValue:
    """``metric`` of predictions (n, k) or (n,) for labels (n,). Shares: Wilson; AUC: DeLong; else the bootstrap.

    NaN where the rows do not determine it (no rows, one class); never 0 for what is not known.
    """
    n = len(y)
    if p.ndim == 2 and p.shape[1] == 2 and n:
        if not np.isfinite(p).all():
            return MetricValue(NAN, NAN, NAN, n)
        if metric in OF_ANSWERS:
            return _measure_counted(metric, y, p, confidence)
        if metric == "auc":
            return _measure_auc(y == 1, p[:, 1], confidence)
    plugin = METRICS.load_module(metric)
    try:
        value = float(getattr(plugin, metric)(y, p))
    except BadData:
        return MetricValue(NAN, NAN, NAN, n)
    if not math.isfinite(value):
        return MetricValue(NAN, NAN, NAN, n)
    if metric == "accuracy":
        return MetricValue(value, *wilson_interval(round(value * n), n, confidence), n)
    if hasattr(plugin, "influence"):
        error = math.sqrt(float((plugin.influence(y, p) ** 2).sum()))
        counts = np.bincount(y)
        return MetricValue(value, *_auc_interval(value, error, int(counts[counts > 0].min()), confidence), n)
    low, high = _bootstrap(plugin, getattr(plugin, metric), y, p, confidence, seed, value)
    return MetricValue(value, low, high, n)


def measure_sampled(metric: str, y: Array, p: Array, sampled_with: Array, rows: int, *, seed: int = 0) -> MetricValue:
    """``metric`` of all ``rows``, some of whose labels were sampled with probability ``sampled_with`` (n,), else NaN.

    Each sampled row is weighted by one over its probability; the bootstrap draws the sampled rows anew.
    """
    if metric == "accuracy" and p.ndim == 2:
        right = (p.argmax(axis=1) == y).astype(np.float64)
        return MetricValue(*estimate_share(right, sampled_with, rows), len(y))
    score = getattr(METRICS.load_module(metric), metric)
    drawn, weight = np.isfinite(sampled_with), sampling_weights(sampled_with, rows)
    try:
        value = float(score(y, p, weight=weight))
    except BadData:
        return MetricValue(NAN, NAN, NAN, len(y))
    n = int(drawn.sum())
    if n < FEWEST or not math.isfinite(value):
        return MetricValue(value, NAN, NAN, len(y))
    again = []
    for row in (r for block in paired_bootstrap.draw_counts(n, REDRAWN, seed) for r in block):
        times = weight.copy()
        times[drawn] *= row
        times[drawn] *= weight[drawn].sum() / max(times[drawn].sum(), 1e-300)
        again.append(float(score(y, p, weight=times)))
    defined = np.asarray(again)[np.isfinite(again)]
    if len(defined) < 0.9 * len(again):
        return MetricValue(value, NAN, NAN, len(y))
    reach = t_quantile(0.975, n - 1) * float(defined.std(ddof=1)) * math.sqrt(n / (n - 1))
    return MetricValue(value, value - reach, value + reach, len(y))


def measure_mean(values: Array, confidence: float = 0.95) -> MetricValue:
    """The mean of independent values (n,) in 0 to 1, with Student's interval; Wilson's where they are all equal."""
    n = len(values)
    mean = float(values.mean())
    if not values.std() > 0.0:
        return MetricValue(mean, *wilson_interval(mean * n, n, confidence), n)
    reach = t_quantile(0.5 + confidence / 2.0, n - 1) * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else NAN
    return MetricValue(mean, mean - reach, mean + reach, n)


def _measure_counted(metric: str, y: Array, p: Array, confidence: float) -> MetricValue:
    """Wilson's interval of a share of counted rows. F1 = 2 J / (1 + J) of the share J of hits among hits and errors."""
    predicted, truth = p[:, 1] > p[:, 0], y == 1
    hit, positive, true = int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())
    right = len(y) - positive - true + 2 * hit
    of = {
        "accuracy": (right, len(y)),
        "precision": (hit, positive),
        "recall": (hit, true),
        "f1": (hit, positive + true - hit),
    }
    good, n = of[metric]
    if not n:
        return MetricValue(NAN, NAN, NAN, len(y))
    values = np.array([good / n, *wilson_interval(good, n, confidence)])
    if metric == "f1":
        values = 2 * values / (1 + values)
    return MetricValue(float(values[0]), float(values[1]), float(values[2]), len(y))


def _measure_auc(positive: Array, score: Array, confidence: float) -> MetricValue:
    """Area and DeLong's error; ties count half. O(n log n)."""
    n, smallest = len(score), min(int(positive.sum()), int((~positive).sum()))
    if not smallest:
        return MetricValue(NAN, NAN, NAN, n)
    value, error = compute_auc_and_error(positive, score)
    return MetricValue(value, *_auc_interval(value, error, smallest, confidence), n)


def _auc_interval(value: float, error: float, smallest: int, confidence: float) -> tuple[float, float]:
    """On the log-odds, so that the interval stays within 0 and 1; the scarcer class has ``smallest`` rows."""
    reach = t_quantile(0.5 + confidence / 2.0, smallest - 1) * error if smallest > 1 else math.inf
    if not 0.0 < value < 1.0 or error == 0.0:  # complete separation shows no scatter, which is not none
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2
        return max(0.0, value - z2 / (smallest + z2)), min(1.0, value + z2 / (smallest + z2))
    odds, reach = math.log(value / (1 - value)), reach / (value * (1 - value))
    from scipy.special import expit

    return float(expit(odds - reach)), float(expit(odds + reach))


def _bootstrap(
    plugin: Any, score: Any, y: Array, p: Array, confidence: float, seed: int, value: float
) -> tuple[float, float]:
    n = len(y)
    if n < FEWEST:
        return NAN, NAN
    codes = np.arange(n) if n <= GROUPS else np.random.default_rng(seed).permutation(n) % GROUPS
    g = min(n, GROUPS)
    if hasattr(plugin, "sums"):
        sums = paired_bootstrap.sum_groups(plugin.sums(y, p), codes, g)
        parts = [plugin.of_sums(drawn @ sums) for drawn in paired_bootstrap.recall_counts(g, 1_000, seed)]
    else:
        step = max(1, CELLS // n)
        drawn = np.concatenate(paired_bootstrap.recall_counts(g, 60, seed))
        blocks = (drawn[at : at + step] if g == n else drawn[at : at + step, codes] for at in range(0, 60, step))
        if hasattr(plugin, "score_resamples") and p.ndim == 2 and p.shape[1] == 2:
            parts = [plugin.score_resamples(y, p, weights) for weights in blocks]
        else:
            parts = [np.array([score(y, p, weight=row)]) for weights in blocks for row in weights]
    values = np.concatenate(parts)
    defined = values[np.isfinite(values)]
    if len(defined) < 0.9 * len(values):
        return NAN, NAN
    reach = t_quantile(0.5 + confidence / 2.0, g - 1) * float(defined.std(ddof=1)) * math.sqrt(g / (g - 1))
    if reach == 0.0:
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2  # no scatter seen is not no scatter
        reach = z2 / (n + z2) if plugin.MARGIN_UNIT == "points" else 0.0
    return value - reach, value + reach
