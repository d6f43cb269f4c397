"""One model's metric on labelled rows, with its 95 % confidence interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
TOGETHER = 25  # windows that are resampled by one product of matrices
FEWEST = 10  # rows below which the bootstrap gives no interval


@dataclass(frozen=True)
class _Scored:
    """A metric's value on some rows, whose interval the bootstrap has yet to give."""

    value: float
    y: Array
    p: Array


def measure_metric(metric: str, y: Array, p: Array, *, confidence: float = 0.95, seed: int = 0) -> MetricValue:
    """``metric`` of predictions (n, k) or (n,) for labels (n,). Shares: Wilson; AUC: DeLong; else the bootstrap.

    NaN where the rows do not determine it (no rows, one class); never 0 for what is not known.
    """
    return measure_metric_of_windows(metric, [(y, p)], confidence=confidence, seed=seed)[0]


def measure_metric_of_windows(
    metric: str, windows: Sequence[tuple[Array, Array]], *, confidence: float = 0.95, seed: int = 0
) -> list[MetricValue]:
    """``measure_metric`` of each window's (labels, predictions); many small windows are resampled together."""
    plugin = METRICS.load_module(metric)
    found = [_measure_without_bootstrap(metric, plugin, y, p, confidence) for y, p in windows]
    scored = {i: f for i, f in enumerate(found) if isinstance(f, _Scored)}
    enough = {i: s for i, s in scored.items() if len(s.y) >= FEWEST}
    if hasattr(plugin, "sums"):
        resampled = _resample_sums(plugin, enough, seed)
    else:
        resampled = {i: _resample_rows(metric, plugin, s, seed) for i, s in enough.items()}
    for i, s in scored.items():
        n, g, values = len(s.y), min(len(s.y), GROUPS), resampled.get(i, np.full(1, NAN))
        defined, reach = values[np.isfinite(values)], NAN
        if len(defined) >= 0.9 * len(values):
            reach = t_quantile(0.5 + confidence / 2.0, g - 1) * float(defined.std(ddof=1)) * math.sqrt(g / (g - 1))
        if reach == 0.0 and plugin.MARGIN_UNIT == "points":
            z2 = normal_quantile(0.5 + confidence / 2.0) ** 2  # no scatter seen is not no scatter
            reach = z2 / (n + z2)
        found[i] = MetricValue(s.value, s.value - reach, s.value + reach, n)
    return [f for f in found if isinstance(f, MetricValue)]


def _measure_without_bootstrap(
    metric: str, plugin: Any, y: Array, p: Array, confidence: float
) -> MetricValue | _Scored:
    n = len(y)
    if p.ndim == 2 and p.shape[1] == 2 and n:
        if not np.isfinite(p).all():
            return MetricValue(NAN, NAN, NAN, n)
        if metric in OF_ANSWERS:
            return _measure_counted(metric, y, p, confidence)
        if metric == "auc":
            return _measure_auc(y == 1, p[:, 1], confidence)
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
    return _Scored(value, y, p)


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


def _resample_sums(plugin: Any, scored: Mapping[int, _Scored], seed: int) -> dict[int, Array]:
    """The values of a thousand resamples; those of windows with as many rows are one product of matrices."""
    resampled: dict[int, Array] = {}
    for g in sorted({min(len(s.y), GROUPS) for s in scored.values()}):
        alike = [(i, s) for i, s in scored.items() if min(len(s.y), GROUPS) == g]
        for at in range(0, len(alike), TOGETHER):
            some, sums = alike[at : at + TOGETHER], []
            for _, s in some:
                codes = np.random.default_rng(seed).permutation(len(s.y)) % g if len(s.y) > g else np.arange(g)
                sums.append(paired_bootstrap.sum_groups(plugin.sums(s.y, s.p), codes, g))
            beside = np.stack(sums, axis=1)  # (g, windows, s)
            parts = [
                plugin.of_sums((drawn @ beside.reshape(g, -1)).reshape(-1, *beside.shape[1:]))
                for drawn in paired_bootstrap.recall_counts(g, 1_000, seed)
            ]
            resampled |= {i: values for (i, _), values in zip(some, np.concatenate(parts).T, strict=True)}
    return resampled


def _resample_rows(metric: str, plugin: Any, scored: _Scored, seed: int) -> Array:
    """The values of sixty resamples of a metric that is no function of sums over rows."""
    y, p, n = scored.y, scored.p, len(scored.y)
    drawn = np.concatenate(paired_bootstrap.recall_counts(min(n, GROUPS), 60, seed))
    codes, step = np.random.default_rng(seed).permutation(n) % GROUPS, paired_bootstrap.count_at_once(n)
    blocks = (drawn[at : at + step] if n <= GROUPS else drawn[at : at + step, codes] for at in range(0, 60, step))
    if hasattr(plugin, "score_resamples") and p.ndim == 2 and p.shape[1] == 2:
        return np.concatenate([plugin.score_resamples(y, p, weights) for weights in blocks])
    score = getattr(plugin, metric)
    return np.array([score(y, p, weight=row) for weights in blocks for row in weights])
