"""An e-process for "one model is worse than another on the same rows": it may be tested after every row.

Under "not worse on average" a bettor who stakes a fixed share of his wealth on each row's difference does not get rich:
the chance that his wealth ever reaches 1 / alpha is at most alpha (Ville's inequality). Wealth multiplies over rows, so
that its logarithm only adds up: late rows, and any order, are fine. Source: Waudby-Smith & Ramdas (2024),
doi:10.1093/jrsssb/qkad009.
"""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.arrays import Array

STAKES = (0.05, 0.1, 0.2, 0.4, 0.7, 0.95)  # a bettor each; their wealth is averaged


def compute_log_wealth(differences: Array) -> tuple[float, ...]:
    """Log wealth of each bettor after rows with ``differences`` (n,) in [-1, 1]; positive ones increase it."""
    d = np.clip(np.asarray(differences, dtype=np.float64), -1.0, 1.0)
    return tuple(float(np.log1p(stake * d).sum()) for stake in STAKES)


def add_wealth(wealth: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    """The wealth after further rows; () is that before the first."""
    return tuple(a + b for a, b in zip(wealth or (0.0,) * len(STAKES), more, strict=True))


def e_value(wealth: tuple[float, ...]) -> float:
    """The mean of the bettors' wealth; 1 before the first row."""
    return float(np.exp(np.minimum(np.asarray(wealth), 700.0)).mean()) if wealth else 1.0


def row_losses(y: Array, p: Array, scale: float) -> Array:
    """(n,) loss of each row in [0, 1]: half the Brier score, or the absolute error over ``scale``, at most 1."""
    if p.ndim == 2:
        truth = np.zeros_like(p)
        truth[np.arange(len(y)), y.astype(np.int64)] = 1.0
        return np.asarray(((p - truth) ** 2).sum(axis=1) / 2.0)
    return np.asarray(np.minimum(np.abs(p - y) / (scale if scale > 0 and math.isfinite(scale) else 1.0), 1.0))


def ranking_losses(y: Array, was: Array, now: Array, seed: int) -> Array:
    """(m,) in [-1, 1]: for pairs of a one and a zero, how much worse ``now`` (n,) ranks them than ``was`` does.

    Pairs are drawn at random and share no row, so that their mean is the AUC lost and bets on them may be added up.
    A model can gain by the Brier score (its base rate is right again) and yet separate ones from zeros worse.
    """
    random = np.random.default_rng(seed)
    ones, zeros = (random.permutation(np.flatnonzero(y == k)) for k in (1, 0))
    m = min(len(ones), len(zeros))
    ones, zeros = ones[:m], zeros[:m]
    right = [np.sign(p[ones] - p[zeros]) / 2.0 for p in (was, now)]
    return np.asarray(right[0] - right[1])
