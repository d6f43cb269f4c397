"""Compares both models on the same rows by one metric, with the interval of the difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from evermodel.core.errors import BadData
from evermodel.core.records.verdict import Comparison, Method
from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.distributions import normal_quantile, t_quantile, t_tail
from evermodel.core.stats.metric import METRICS, Additive, Influential, Metric, MetricModule, PerRow
from evermodel.core.stats.paired_tests import mcnemar_p_value, tango_interval
from evermodel.judging.judge_input import PairedPredictions

NAN = float("nan")
RARE_EVENTS_DECIDE = ("log_loss", "brier")  # their error is that of the rarer classes' rows, however many others are
SLOW_RESAMPLES = 400  # for metrics that need all rows again for each resample
LEAST_DEFINED = 0.9  # share of the resamples on which a metric must be defined, or there is no interval


@dataclass(frozen=True)
class Resampling:
    """How a bootstrap draws. ``resamples`` None: as many as the metric's speed allows."""

    seed: int = 0
    resamples: int | None = None
    margin_slope: float = 0.0


@dataclass(frozen=True)
class Interval:
    """The two-sided interval of a difference, with what it was made from."""

    low: float
    high: float
    method: Method
    standard_error: float = NAN
    p_value: float = NAN
    n_groups: int | None = None


def compare_predictions(
    metric: str,
    rows: PairedPredictions,
    /,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int | None = None,
    margin_slope: float = 0.0,
) -> Comparison:
    """Champion and challenger on the same rows: both values, challenger - champion, its two-sided interval and p value.

    Accuracy: exact McNemar test and Tango's interval; AUC: DeLong (summed by group where rows depend on each other);
    else, and for accuracy under groups, the paired bootstrap, groups drawn whole. For rows of a series, give
    ``paired_bootstrap.split_stretches(n)`` as groups. What the rows do not determine is NaN. For ``margin_slope`` see
    ``judging/grading.py``; it applies to the bootstrap alone. Raises BadData where predictions are not finite.
    """
    plugin, resampling = METRICS.load_module(metric), Resampling(seed, resamples, margin_slope)
    return compare_with_metric(plugin, rows, confidence=confidence, resampling=resampling)


def compare_with_metric(
    plugin: MetricModule,
    rows: PairedPredictions,
    /,
    *,
    confidence: float = 0.95,
    resampling: Resampling = Resampling(),
) -> Comparison:
    """The same with the metric's module itself, installed or not."""
    metric = plugin.__name__.rpartition(".")[2]
    score: Metric = getattr(plugin, metric)
    rows = _sort_rows(rows)
    champion, challenger = score(rows.y, rows.champion), score(rows.y, rows.challenger)
    difference = challenger - champion
    if not (math.isfinite(champion) and math.isfinite(challenger)):
        difference, interval = NAN, Interval(NAN, NAN, Method.UNDEFINED)
    elif metric == "accuracy" and rows.groups is None:
        difference, interval = _compare_mcnemar(cast(PerRow, plugin), rows, confidence)
    elif isinstance(plugin, Influential):
        interval = _compare_delong(plugin, rows, difference, confidence)
    else:
        interval = _compare_bootstrap(plugin, rows, difference, confidence, resampling)
    return Comparison(
        metric,
        champion,
        challenger,
        difference,
        interval.low,
        interval.high,
        len(rows),
        plugin.HIGHER_IS_BETTER,
        interval.method,
        confidence,
        interval.standard_error,
        interval.p_value,
        interval.n_groups,
    )


def _sort_rows(rows: PairedPredictions) -> PairedPredictions:
    """The rows in an order that depends neither on how they came nor on which model is which."""
    n = len(rows)
    shapes = {np.shape(rows.y)[:1], np.shape(rows.champion)[:1], np.shape(rows.challenger)[:1]}
    if n == 0 or shapes != {(n,)} or np.shape(rows.champion) != np.shape(rows.challenger):
        raise BadData(
            "Both models must have predicted the same rows, at least one. Got "
            f"{n} labels, predictions {np.shape(rows.champion)} and {np.shape(rows.challenger)}."
        )
    a = np.asarray(rows.champion, dtype=np.float64).reshape(n, -1)
    b = np.asarray(rows.challenger, dtype=np.float64).reshape(n, -1)
    order = np.lexsort((np.abs(a - b).sum(axis=1), (a + b)[:, -1], rows.y))
    groups = None if rows.groups is None else rows.groups[order]
    return PairedPredictions(rows.y[order], rows.champion[order], rows.challenger[order], groups)


def _compare_mcnemar(plugin: PerRow, rows: PairedPredictions, confidence: float) -> tuple[float, Interval]:
    """The difference of two accuracies from its counts, and Tango's interval."""
    champion, challenger = plugin.per_row(rows.y, rows.champion), plugin.per_row(rows.y, rows.challenger)
    won, lost, n = int((challenger > champion).sum()), int((challenger < champion).sum()), len(rows)
    low, high = tango_interval(won, lost, n, confidence)
    error = math.sqrt(max(0.0, won + lost - (won - lost) ** 2 / n)) / n
    return (won - lost) / n, Interval(low, high, Method.MCNEMAR, error, mcnemar_p_value(won, lost))


def _compare_delong(plugin: Influential, rows: PairedPredictions, difference: float, confidence: float) -> Interval:
    codes, g = paired_bootstrap.encode_groups(rows.groups, len(rows))
    excess = plugin.influence(rows.y, rows.challenger) - plugin.influence(rows.y, rows.champion)
    smallest = int(np.unique(rows.y, return_counts=True)[1].min())
    if rows.groups is None:
        n_groups, error = None, float(np.sqrt((excess**2).sum()))
        degrees = smallest - 1  # the scarcer class determines the error
    else:
        summed = paired_bootstrap.sum_groups(excess[:, None], codes, g)[:, 0]
        n_groups, error = g, float(np.sqrt((summed**2).sum() * g / max(1, g - 1)))
        degrees = min(g - 1, smallest - 1)
    same = bool((rows.champion == rows.challenger).all())
    if error == 0.0 and not same:
        # Different predictions without any scatter: the score bound for a share that was never seen.
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2
        reach, shown_error = z2 / (smallest + z2), 0.0 if degrees >= 1 else NAN
        return Interval(difference - reach, difference + reach, Method.DELONG, shown_error, 1.0, n_groups)
    return _t_interval(difference, error, degrees, confidence, Method.DELONG, n_groups)


def _compare_bootstrap(
    plugin: MetricModule,
    rows: PairedPredictions,
    difference: float,
    confidence: float,
    resampling: Resampling,
) -> Interval:
    codes, g = paired_bootstrap.encode_groups(rows.groups, len(rows))
    seed, slope = resampling.seed, resampling.margin_slope
    if isinstance(plugin, Additive):
        champion = paired_bootstrap.sum_groups(plugin.sums(rows.y, rows.champion), codes, g)
        challenger = paired_bootstrap.sum_groups(plugin.sums(rows.y, rows.challenger), codes, g)
        resamples = resampling.resamples or paired_bootstrap.RESAMPLES
        drawn = paired_bootstrap.resample_sums((champion, challenger), plugin.of_sums, resamples, seed, slope)
    else:
        both, resamples = (rows.champion, rows.challenger), resampling.resamples or SLOW_RESAMPLES
        drawn = paired_bootstrap.resample_rows(plugin, rows.y, both, codes, g, resamples, seed, slope)
    defined = drawn[np.isfinite(drawn)]
    degrees = g - 1
    if plugin.__name__.rpartition(".")[2] in RARE_EVENTS_DECIDE:
        degrees = min(degrees, len(rows) - int(np.unique(rows.y, return_counts=True)[1].max()) - 1)
    undetermined = g < 2 or len(defined) < LEAST_DEFINED * len(drawn)
    error = NAN if undetermined else float(defined.std(ddof=1) * math.sqrt(g / (g - 1)))
    n_groups = None if rows.groups is None else g
    return _t_interval(difference, error, degrees, confidence, Method.BOOTSTRAP, n_groups)


def _t_interval(
    difference: float, error: float, degrees: int, confidence: float, method: Method, n_groups: int | None
) -> Interval:
    """Symmetric, so that swapping the models mirrors it; Student's t, since few groups vary more than they show."""
    if not math.isfinite(error) or degrees < 1:
        return Interval(NAN, NAN, method, n_groups=n_groups)
    reach = t_quantile(0.5 + confidence / 2.0, degrees) * error
    p = t_tail(difference / error, degrees) if error > 0 else (1.0 if difference == 0 else 0.0)
    return Interval(difference - reach, difference + reach, method, error, p, n_groups)
