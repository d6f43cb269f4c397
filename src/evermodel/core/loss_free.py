"""Absolute error of rows without labels, from labelled rows before them that resemble them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.monitoring import Measured
from evermodel.core.statistics import t_quantile
from evermodel.core.table import Array

FEWEST = 30  # labelled rows of a stretch
STRETCHES = 3  # foretold before, without which no interval is told: nobody knows how far it misses
NEWEST = 30  # stretches that are learnt from
RIDGE = 10.0  # rows by which a kind of rows is drawn towards the mean of all


@dataclass(frozen=True)
class Errors:
    """Sums over the labelled rows of one stretch, by kind of row (K,): how many, and their absolute errors."""

    rows: tuple[float, ...]
    errors: tuple[float, ...]


def errors_of(kinds: Array, error: Array, of: int) -> Errors:
    """From each row's kind (n,), 0 … ``of`` - 1, and its absolute error (n,)."""
    n = np.bincount(kinds, minlength=of).astype(float)
    return Errors(tuple(n.tolist()), tuple(np.bincount(kinds, weights=error, minlength=of).tolist()))


def estimated_error(kinds: Array, history: Sequence[Errors]) -> tuple[Measured, float] | None:
    """Mean absolute error of rows (n,) of known kinds, and how far their kinds are believed (0 to 1).

    0: the mean of the labelled rows before; 1: that of rows of their kinds. Believed as far as it foretold the
    stretches before. The interval is as wide as it missed them; None for fewer than three. It cannot be trusted under
    concept drift: rows that look as before and are answered worse do not show.
    """
    told = [h for h in history if sum(h.rows) >= FEWEST][-NEWEST:]
    if not len(kinds) or len(told) < STRETCHES + 1:
        return None
    shares = [np.asarray(h.rows) / sum(h.rows) for h in told]
    pairs = []
    for i in range(1, len(told)):
        usual, by_kind = _learnt(told[:i])
        pairs.append((sum(told[i].errors) / sum(told[i].rows) - usual, float(shares[i] @ by_kind) - usual, usual))
    came, said, scale = np.array(pairs).T
    noise = 0.01 * float(np.mean(scale)) ** 2
    share = min(1.0, max(0.0, float((came * said).sum()) / (float((said**2).sum()) + noise)))
    missed = math.sqrt(float(((came - share * said) ** 2).mean()))
    usual, by_kind = _learnt(told)
    now = np.bincount(kinds, minlength=len(by_kind)) / len(kinds)
    value = max(0.0, usual + share * (float(now @ by_kind) - usual))
    reach = t_quantile(0.975, len(pairs)) * missed * math.sqrt(1.0 + 1.0 / len(pairs))
    return Measured(value, max(0.0, value - reach), value + reach, len(kinds), estimated=True), share


def _learnt(told: Sequence[Errors]) -> tuple[float, Array]:
    rows, errors = (np.sum([getattr(h, f) for h in told], axis=0) for f in ("rows", "errors"))
    usual = float(errors.sum() / rows.sum())
    return usual, np.asarray((errors + RIDGE * usual) / (rows + RIDGE))
