"""One model's metric on labelled rows, with an interval that holds the truth with 95 %."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from evermodel.core import plugs, resampling
from evermodel.core.errors import BadData
from evermodel.core.label_free import wilson
from evermodel.core.monitoring import Measured
from evermodel.core.scoring import NAN
from evermodel.core.statistics import normal_quantile, t_quantile
from evermodel.core.survey import share_of_all, weights_of
from evermodel.core.table import Array

__all__ = ["mean_measured", "measure", "measure_asked", "wilson"]

GROUPS = 1_000  # beyond so many rows, the bootstrap draws groups of rows
OF_ANSWERS = ("accuracy", "precision", "recall", "f1")
REDRAWN = 200  # times the asked rows are drawn anew
FEWEST = 10  # rows below which no interval is told by resampling


def measure(metric: str, y: Array, p: Array, *, confidence: float = 0.95, seed: int = 0) -> Measured:
    """``metric`` of predictions (n, k) or (n,) for labels (n,). Shares: Wilson; AUC: DeLong; else the bootstrap.

    NaN where the rows do not determine it (no rows, one class); never 0 for what is not known.
    """
    n = len(y)
    if p.ndim == 2 and p.shape[1] == 2 and n:
        if not np.isfinite(p).all():
            return Measured(NAN, NAN, NAN, n)
        if metric in OF_ANSWERS:
            return _of_answers(metric, y, p, confidence)
        if metric == "auc":
            return _auc(y == 1, p[:, 1], confidence)
    plug = plugs.module("metrics", metric)
    try:
        value = float(getattr(plug, metric)(y, p))
    except BadData:
        return Measured(NAN, NAN, NAN, n)
    if not math.isfinite(value):
        return Measured(NAN, NAN, NAN, n)
    if metric == "accuracy":
        return Measured(value, *wilson(round(value * n), n, confidence), n)
    if hasattr(plug, "influence"):
        error = math.sqrt(float((plug.influence(y, p) ** 2).sum()))
        counts = np.bincount(y)
        return Measured(value, *_area(value, error, int(counts[counts > 0].min()), confidence), n)
    low, high = _bootstrap(plug, getattr(plug, metric), y, p, confidence, seed, value)
    return Measured(value, low, high, n)


def measure_asked(metric: str, y: Array, p: Array, asked: Array, rows: int, *, seed: int = 0) -> Measured:
    """``metric`` of all ``rows``, where some labels were asked for with the chances ``asked`` (n,); NaN: it came.

    Each asked row stands for one over its chance; the bootstrap draws the asked rows anew.
    """
    if metric == "accuracy" and p.ndim == 2:
        right = (p.argmax(axis=1) == y).astype(np.float64)
        return Measured(*share_of_all(right, asked, rows), len(y))
    score = getattr(plugs.module("metrics", metric), metric)
    drawn, weight = np.isfinite(asked), weights_of(asked, rows)
    try:
        value = float(score(y, p, weight=weight))
    except BadData:
        return Measured(NAN, NAN, NAN, len(y))
    n = int(drawn.sum())
    if n < FEWEST or not math.isfinite(value):
        return Measured(value, NAN, NAN, len(y))
    again = []
    for row in (r for block in resampling.counts(n, REDRAWN, seed) for r in block):
        times = weight.copy()
        times[drawn] *= row
        times[drawn] *= weight[drawn].sum() / max(times[drawn].sum(), 1e-300)
        again.append(float(score(y, p, weight=times)))
    known = np.asarray(again)[np.isfinite(again)]
    if len(known) < 0.9 * len(again):
        return Measured(value, NAN, NAN, len(y))
    reach = t_quantile(0.975, n - 1) * float(known.std(ddof=1)) * math.sqrt(n / (n - 1))
    return Measured(value, value - reach, value + reach, len(y))


def mean_measured(values: Array, confidence: float = 0.95) -> Measured:
    """The mean of independent values (n,) in 0 to 1, with Student's interval; Wilson's where no scatter is seen."""
    n = len(values)
    mean = float(values.mean())
    if not values.std() > 0.0:
        return Measured(mean, *wilson(mean * n, n, confidence), n)
    reach = t_quantile(0.5 + confidence / 2.0, n - 1) * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else NAN
    return Measured(mean, mean - reach, mean + reach, n)


def _of_answers(metric: str, y: Array, p: Array, confidence: float) -> Measured:
    """Shares of counted rows, so Wilson's interval. F1 = 2 J / (1 + J) of the share J of hits among hits and errors."""
    said, truth = p[:, 1] > p[:, 0], y == 1
    hit, positive, true = int((said & truth).sum()), int(said.sum()), int(truth.sum())
    right = len(y) - positive - true + 2 * hit
    of = {"accuracy": (right, len(y)), "precision": (hit, positive), "recall": (hit, true),
          "f1": (hit, positive + true - hit)}  # fmt: skip
    good, n = of[metric]
    if not n:
        return Measured(NAN, NAN, NAN, len(y))
    found = np.array([good / n, *wilson(good, n, confidence)])
    if metric == "f1":
        found = 2 * found / (1 + found)
    return Measured(float(found[0]), float(found[1]), float(found[2]), len(y))


def _auc(positive: Array, score: Array, confidence: float) -> Measured:
    """Area and DeLong's error from two sorted samples, O(n log n); ties count half."""
    n = len(score)
    above, below = np.sort(score[positive]), np.sort(score[~positive])
    if not len(above) or not len(below):
        return Measured(NAN, NAN, NAN, n)
    beaten, lost = _shares_below(below, above), 1.0 - _shares_below(above, below)
    value = float(beaten.mean())
    spread = [float(v.var(ddof=1)) / len(v) if len(v) > 1 else 0.0 for v in (beaten, lost)]
    return Measured(value, *_area(value, math.sqrt(sum(spread)), min(len(above), len(below)), confidence), n)


def _shares_below(of: Array, at: Array) -> Array:
    """Share of a sorted sample below each value, ties counting half."""
    return np.asarray((np.searchsorted(of, at, "left") + np.searchsorted(of, at, "right")) / (2.0 * len(of)))


def _area(value: float, error: float, smallest: int, confidence: float) -> tuple[float, float]:
    """On the log-odds, so that the interval stays within 0 and 1; the scarcer class has ``smallest`` rows."""
    reach = t_quantile(0.5 + confidence / 2.0, smallest - 1) * error if smallest > 1 else math.inf
    if not 0.0 < value < 1.0 or error == 0.0:  # complete separation shows no scatter, which is not none
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2
        return max(0.0, value - z2 / (smallest + z2)), min(1.0, value + z2 / (smallest + z2))
    odds, reach = math.log(value / (1 - value)), reach / (value * (1 - value))
    return _expit(odds - reach), _expit(odds + reach)


def _expit(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0


def _bootstrap(
    plug: Any, score: Any, y: Array, p: Array, confidence: float, seed: int, value: float
) -> tuple[float, float]:
    n = len(y)
    if n < FEWEST:
        return NAN, NAN
    codes = np.arange(n) if n <= GROUPS else np.random.default_rng(seed).permutation(n) % GROUPS
    g = min(n, GROUPS)
    if hasattr(plug, "sums"):
        sums = resampling.added(plug.sums(y, p), codes, g)
        parts = [plug.of_sums(drawn @ sums) for drawn in resampling.counts(g, 1_000, seed)]
    else:
        drawn = (row for block in resampling.counts(g, 60, seed) for row in block)
        parts = [np.array([score(y, p, weight=row[codes].astype(np.float64))]) for row in drawn]
    values = np.concatenate(parts)
    known = values[np.isfinite(values)]
    if len(known) < 0.9 * len(values):
        return NAN, NAN
    reach = t_quantile(0.5 + confidence / 2.0, g - 1) * float(known.std(ddof=1)) * math.sqrt(g / (g - 1))
    if reach == 0.0:
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2  # no scatter seen is not no scatter
        reach = z2 / (n + z2) if plug.MARGIN_UNIT == "points" else 0.0
    return value - reach, value + reach
