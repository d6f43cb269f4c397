"""One model's metric on labelled rows, with an interval that holds the truth with 95 %."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from evermodel.core import plugs, resampling
from evermodel.core.errors import BadData
from evermodel.core.monitoring import Measured
from evermodel.core.scoring import NAN
from evermodel.core.statistics import normal_quantile, t_quantile
from evermodel.core.table import Array

GROUPS = 1_000  # beyond so many rows, the bootstrap draws groups of rows
FEWEST = 10  # rows below which no interval is told by resampling


def measure(metric: str, y: Array, p: Array, *, confidence: float = 0.95, seed: int = 0) -> Measured:
    """``metric`` of predictions (n, k) or (n,) for labels (n,). Shares: Wilson; AUC: DeLong; else the bootstrap.

    NaN where the rows do not determine it (no rows, one class); never 0 for what is not known.
    """
    plug = plugs.module("metrics", metric)
    n = len(y)
    try:
        value = float(getattr(plug, metric)(y, p))
    except BadData:
        return Measured(NAN, NAN, NAN, n)
    if not math.isfinite(value):
        return Measured(NAN, NAN, NAN, n)
    if metric == "accuracy":
        return Measured(value, *wilson(round(value * n), n, confidence), n)
    if hasattr(plug, "influence"):
        return Measured(value, *_delong(plug, value, y, p, confidence), n)
    low, high = _bootstrap(plug, getattr(plug, metric), y, p, confidence, seed, value)
    return Measured(value, low, high, n)


def wilson(hits: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share. Source: Wilson (1927), doi:10.1080/01621459.1927.10502953."""
    if n <= 0:
        return NAN, NAN
    z = normal_quantile(0.5 + confidence / 2.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _delong(plug: Any, value: float, y: Array, p: Array, confidence: float) -> tuple[float, float]:
    """On the log-odds, so that the interval stays within 0 and 1."""
    error = math.sqrt(float((plug.influence(y, p) ** 2).sum()))
    counts = np.bincount(y)
    smallest = int(counts[counts > 0].min())
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
