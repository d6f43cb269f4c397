"""How much rows in a row hang together: by so much less than drawn ones do they tell of how the world is."""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.statistics import normal_quantile
from evermodel.core.table import Array

SHORTEST = 250  # rows of the shortest stretches that are compared
STRETCHES = 6  # fewer do not show it
SURELY = 3.0  # standard errors above "no clumping" from which it is believed
ALONG = 3.5  # the same along the order of the bins, where one number scatters more
DOUBT = 0.25  # so seldom would stretches that vary so much more show no more than these do


def clumping(counts: Array, size: int = SHORTEST) -> float:
    """Excess variance of the shares of stretches (n, K) of ``size`` rows, a row; 0 where it may be chance.

    In the direction in which they vary most: a level that rises and falls moves all bins at once, and the mean over
    the bins hides it. Of stretches of several lengths the largest, since slow seasons show in long ones alone; made
    larger by what so few of them may fail to show (the lower quantile of chi-square), since it stands for a truth.
    """
    found, counts = 0.0, np.asarray(counts, dtype=np.float64)
    while len(counts) >= STRETCHES:
        found = max(found, _excess(counts) / size)
        even = len(counts) // 2 * 2
        counts, size = counts[:even:2] + counts[1:even:2], size * 2
    return found


def clumping_of(happened: Array) -> float:
    """The same of what happened or did not (n,), row by row, oldest first: wrong answers, say."""
    n = len(happened) // SHORTEST
    often = np.asarray(happened[: n * SHORTEST], dtype=np.float64).reshape(n, SHORTEST).sum(axis=1)
    return clumping(np.column_stack([often, SHORTEST - often]))


def clumping_besides_a_step(counts: Array) -> float:
    """The same of looks (T, 2) that came, a row, whatever level they may have moved to once on the way.

    The step that explains them best is taken out first: what is asked is how much they scatter besides.
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
    """Variance of the stretches' mean rank, against that of drawn rows."""
    rank = np.cumsum(share) - share / 2.0
    rank = rank - float((share * rank).sum())
    scatter = float((share * rank**2).sum())
    return float(((counts @ rank) ** 2 / (rows * scatter)).sum()) / (len(counts) - 1) if scatter > 0 else 0.0


def _low_chi2(n: int) -> float:
    """Lower quantile of chi-square, ``n`` degrees of freedom, to 1 % from 5 on. Source: Wilson & Hilferty (1931)."""
    return n * max(1e-3, 1.0 - 2.0 / (9.0 * n) + normal_quantile(DOUBT) * math.sqrt(2.0 / (9.0 * n))) ** 3
