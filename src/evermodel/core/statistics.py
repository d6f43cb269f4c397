"""Tests, intervals and sample sizes for paired comparisons, from the standard library and numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from evermodel.core.table import Array

_NORMAL = NormalDist()
NORMAL_FROM = 2_000  # degrees of freedom from which t and normal agree to 1e-3


def normal_quantile(share: float) -> float:
    """z with P(Z <= z) = share, for 0 < share < 1."""
    return _NORMAL.inv_cdf(share)


def normal_tail(z: float) -> float:
    """P(|Z| > |z|)."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def t_tail(t: float, degrees: int) -> float:
    """P(|T| > |t|) of Student's t with whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    if degrees >= NORMAL_FROM:
        return normal_tail(t)
    angle = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, series = (cosine if odd else 1.0), 0.0
    for i in range(1 + odd, degrees, 2):
        series += term
        term *= cosine * cosine * i / (i + 1)
    inside = (angle + sine * series) * 2.0 / math.pi if odd else sine * series
    return max(0.0, 1.0 - inside)


@lru_cache(maxsize=512)
def t_quantile(share: float, degrees: int) -> float:
    """t with P(T <= t) = share, for .5 <= share < 1; infinite without a degree of freedom."""
    if degrees < 1:
        return math.inf
    if degrees >= NORMAL_FROM:
        return normal_quantile(share)
    low, high = 0.0, 1.0
    while t_tail(high, degrees) > 2.0 * (1.0 - share):
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if t_tail(middle, degrees) > 2.0 * (1.0 - share) else (low, middle)
    return (low + high) / 2.0


def mcnemar(won: int, lost: int, *, mid: bool = False) -> float:
    """Exact two-sided p value that ``won`` and ``lost`` discordant pairs are equally likely; 1 where there are none.

    ``mid`` counts half of the observed outcome's probability: closer to its level, no longer guaranteed.
    Source: McNemar (1947); Fagerland, Lydersen & Laake (2013), doi:10.1186/1471-2288-13-91.
    """
    n, fewer = won + lost, min(won, lost)
    if n == 0:
        return 1.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(fewer + 1)
    ]
    peak = max(logs)
    tail = math.exp(peak) * math.fsum(math.exp(value - peak) for value in logs)
    return min(1.0, 2.0 * (tail - (0.5 * math.exp(logs[-1]) if mid else 0.0)))


def difference_interval(won: int, lost: int, n: int, confidence: float) -> tuple[float, float]:
    """Score interval of (won - lost) / n, a difference of paired shares; holds its level from small n on.

    A quarter of a pair is added against the steps of counts: exact one-sided errors of 5.1 to 5.5 % become 4.9 at most.
    Source: Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    z = normal_quantile(0.5 + confidence / 2.0)
    estimate = (won - lost) / n
    high = _score_root(won, lost, n, z, estimate, 1.0)
    low = -_score_root(lost, won, n, z, -estimate, 1.0)  # mirrored: swapping the models mirrors the interval exactly
    return low, high


def _score_root(won: int, lost: int, n: int, z: float, low: float, high: float) -> float:
    """The largest difference the score test does not refuse, by bisection (52 halvings: the last bit)."""
    for _ in range(52):
        middle = (low + high) / 2.0
        refused = won - lost + 0.25 - n * middle < -z * _score_deviation(won, lost, n, middle)
        low, high = (low, middle) if refused else (middle, high)
    return high


def _score_deviation(won: int, lost: int, n: int, difference: float) -> float:
    """Standard deviation of won - lost, given the true difference and the likeliest share of pairs lost."""
    b = -won - lost + (2.0 * n - won + lost) * difference
    c = -lost * difference * (1.0 - difference)
    share = (math.sqrt(max(0.0, b * b - 8.0 * n * c)) - b) / (4.0 * n)
    return math.sqrt(max(0.0, n * (2.0 * share + difference * (1.0 - difference))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the given order: refusing those <= alpha errs anywhere with probability <= alpha."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def shrunk(estimates: Array, variances: Array, towards: float) -> Array:
    """Estimates (k,) pulled towards a common value as far as their scatter is noise (empirical Bayes).

    The spread between them is what DerSimonian & Laird's moment leaves after the noise; without, all are ``towards``.
    """
    weights = 1.0 / np.maximum(variances, 1e-300)
    scatter = float((weights * (estimates - towards) ** 2).sum()) - len(estimates)
    spread = max(0.0, scatter / float(weights.sum()))
    return towards + (estimates - towards) * spread / (spread + variances)


def rows_needed(
    distance: float, standard_error: float, n: int, *, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """Rows at which a one-sided test would decide with this power, were the truth what ``n`` rows showed.

    ``distance`` is from the estimate to the bound in question. None where no number of rows would do.
    """
    if not (math.isfinite(distance) and math.isfinite(standard_error)) or distance <= 0.0 or standard_error <= 0.0:
        return None
    reach = (normal_quantile(confidence) + normal_quantile(power)) * standard_error / distance
    needed = math.ceil(n * reach * reach)
    return needed if needed < 10**9 else None
