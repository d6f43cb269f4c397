"""Quantiles and tail probabilities of the normal and of Student's distribution, by scipy.

scipy is imported when a number is asked for: it takes longer to import than all of Evermodel.
"""

from __future__ import annotations

import math

NORMAL_FROM = 2_000  # degrees of freedom from which the normal is taken for Student's t: they agree to 1e-3


def normal_quantile(share: float) -> float:
    """z with P(Z <= z) = share, for 0 < share < 1."""
    from scipy.special import ndtri

    return float(ndtri(share))


def normal_tail(z: float) -> float:
    """P(|Z| > |z|)."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def t_tail(t: float, degrees: int) -> float:
    """P(|T| > |t|) of Student's t."""
    if degrees >= NORMAL_FROM:
        return normal_tail(t)
    from scipy.special import stdtr

    return 2.0 * float(stdtr(degrees, -abs(t)))


def t_quantile(share: float, degrees: int) -> float:
    """t with P(T <= t) = share, for .5 <= share < 1; infinite without a degree of freedom."""
    if degrees < 1:
        return math.inf
    if degrees >= NORMAL_FROM:
        return normal_quantile(share)
    from scipy.special import stdtrit

    return float(stdtrit(degrees, share))


def wilson_interval(hits: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share; NaN without rows. Source: Wilson (1927), doi:10.1080/01621459.1927.10502953.

    scipy has it for whole counts alone; effective numbers of rows are not whole.
    """
    if n <= 0:
        return math.nan, math.nan
    z = normal_quantile(0.5 + confidence / 2.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)
