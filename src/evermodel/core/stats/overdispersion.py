"""Overdispersion: how much more the shares of consecutive rows vary than those of rows drawn at random.

Dependent rows carry less evidence than as many independent ones; tests divide their counts accordingly.
"""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distributions import normal_quantile

SHORTEST = 250  # rows of the shortest stretches that are compared
STRETCHES = 6  # fewer stretches show nothing
SURELY = 3.0  # standard errors above "none" from which overdispersion is believed
ALONG = 3.5  # the same along the order of the bins, where a single number scatters more
DOUBT = 0.25  # lower quantile of chi-square by which an estimate from few stretches is enlarged


def estimate_overdispersion(counts: Array, size: int = SHORTEST) -> float:
    """Excess variance, per row, of the shares of stretches (n, K) of ``size`` rows; 0 where it may be chance.

    It is measured in the direction in which they vary most: a level that rises and falls moves all bins at once, and
    the mean over the bins would hide it. Of stretches of several lengths the largest counts, since slow seasons show in
    long ones alone. It is enlarged by what so few stretches may fail to show (the lower quantile of chi-square).
    """
    largest, counts = 0.0, np.asarray(counts, dtype=np.float64)
    while len(counts) >= STRETCHES:
        largest = max(largest, _excess(counts) / size)
        even = len(counts) // 2 * 2
        counts, size = counts[:even:2] + counts[1:even:2], size * 2
    return largest


def estimate_event_overdispersion(happened: Array) -> float:
    """The overdispersion of an event (n,) that happened or not in each row, oldest first: a wrong answer, say."""
    n = len(happened) // SHORTEST
    often = np.asarray(happened[: n * SHORTEST], dtype=np.float64).reshape(n, SHORTEST).sum(axis=1)
    return estimate_overdispersion(np.column_stack([often, SHORTEST - often]))


def estimate_overdispersion_around_step(counts: Array) -> float:
    """The overdispersion, per row, of windows (T, 2) whose level may have changed once.

    The step that explains the counts best is removed first; what remains is their scatter around it.
    """
    if len(counts) < STRETCHES:
        return 0.0
    size = float(np.median(counts.sum(axis=1)))
    before, after = counts.cumsum(axis=0)[:-1], counts[::-1].cumsum(axis=0)[::-1][1:]
    at = int((_log_likelihood(before) + _log_likelihood(after)).argmax()) + 1
    parts = [part for part in (counts[:at], counts[at:]) if len(part) > 1]
    free = sum(len(part) - 1 for part in parts)
    rows, often = (np.concatenate([p.sum(axis=1) for p in parts]), np.concatenate([p[:, 0] for p in parts]))
    share = np.concatenate([np.full(len(p), (p[:, 0].sum() + 0.5) / (p.sum() + 1.0)) for p in parts])
    ratio = float(((often - rows * share) ** 2 / (rows * share * (1.0 - share))).sum()) / free
    if ratio <= 1.0 + SURELY * math.sqrt(2.0 / free):
        return 0.0
    return (ratio - 1.0) * free / _low_chi2(free) / size


def _log_likelihood(counts: Array) -> Array:
    share = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    return np.asarray((counts * np.log(share)).sum(axis=1))


def _excess(counts: Array) -> float:
    n = len(counts) - 1
    rows, share = counts.sum(axis=1, keepdims=True), counts.sum(axis=0) / max(1.0, counts.sum())
    inside = share > 0
    free = n * (int(inside.sum()) - 1)
    if free < 1 or not rows.all():
        return 0.0
    share, counts = share[inside], counts[:, inside]
    away = (counts - rows * share) / np.sqrt(rows * share)
    along = _along(counts, rows[:, 0], share)
    mean = float((away**2).sum()) / free
    if mean <= 1.0 + SURELY * math.sqrt(2.0 / free) and along <= 1.0 + ALONG * math.sqrt(2.0 / n):
        return 0.0
    most = max(along, float(np.linalg.svd(away, compute_uv=False)[0]) ** 2 / n)
    return max(0.0, most - 1.0) * n / _low_chi2(n)


def _along(counts: Array, rows: Array, share: Array) -> float:
    """Variance of the stretches' mean rank, relative to that of rows drawn at random."""
    rank = np.cumsum(share) - share / 2.0
    rank = rank - float((share * rank).sum())
    scatter = float((share * rank**2).sum())
    return float(((counts @ rank) ** 2 / (rows * scatter)).sum()) / (len(counts) - 1) if scatter > 0 else 0.0


def _low_chi2(n: int) -> float:
    """Lower quantile of chi-square, ``n`` degrees of freedom, to 1 % from 5 on. Source: Wilson & Hilferty (1931).

    Kept instead of scipy's: the alarm rates of ``bench/watch_alarms.py`` were measured with it.
    """
    return n * max(1e-3, 1.0 - 2.0 / (9.0 * n) + normal_quantile(DOUBT) * math.sqrt(2.0 / (9.0 * n))) ** 3
