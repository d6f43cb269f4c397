"""Evidence that may be looked at as often as one likes: e-processes for counts, the reference being a sample.

Rows are counted in K bins a look. Were they like the reference, all of them would be exchangeable with its rows; the
chance that an e-value ever reaches 1 / alpha is then at most alpha (Ville's inequality), however often one looks and
in whatever order late rows come, since the counts of a look only add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from evermodel.core.table import Array

CENTRED = (0.5, 20.0, 150.0)  # concentrations a bin of what the rows may have become: anything, near, very near
SURER = 0.75  # of what is known of the reference: an alternative is never surer than that
RISES = (0.02, 0.05, 0.1, 0.2)  # of the error, absolute: one-sided, an improvement is no alarm
SHIFTED = 10
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)


def log_gamma(x: Array) -> Array:
    """log of the gamma function for x > 0, to 1e-12; numpy has none."""
    x = np.asarray(x, dtype=np.float64)
    small = x < SHIFTED
    if not small.any():
        return _stirling(x)
    z = x[small]
    product = z.copy()
    for i in range(1, SHIFTED):
        product *= z + i
    out = _stirling(np.where(small, x + SHIFTED, x))
    out[small] -= np.log(product)
    return out


def _stirling(z: Array) -> Array:
    inverse = 1.0 / z
    square = inverse * inverse
    series = inverse * (_STIRLING[0] + square * (_STIRLING[1] + square * (_STIRLING[2] + square * _STIRLING[3])))
    return np.asarray((z - 0.5) * np.log(z) - z + (0.5 * math.log(2 * math.pi)) + series)


def log_polya(counts: Array, weights: Array) -> Array:
    """Log probability of rows in one order, from their counts (…, K), under Dirichlet(weights (…, K)) shares."""
    n, a = counts.sum(axis=-1), weights.sum(axis=-1)
    each = (log_gamma(counts + weights) - log_gamma(weights)).sum(axis=-1)
    return np.asarray(each - log_gamma(n + a) + log_gamma(a))


def start_weights(t: int) -> Array:
    """(t,) prior of a change at start 1 … t, about 1 / (s log^2 s); sums to less than 1 for every t."""
    s = np.arange(1, t + 1, dtype=np.float64)
    return np.asarray(1.0 / ((s + 1.0) * np.log(s + 1.0) ** 2) / 2.2)  # the series adds up to 2.11


def drift_path(looks: Array, reference: Array) -> Array:
    """Log e-value (T,) after each of the looks (T, K) that a column's rows are as the reference (K,).

    ``reference``: gaps between order statistics a bin (their shares are then exactly Dirichlet, for any continuous
    column), or reference rows a category. A change may have begun with any look. O(T^2 K).
    """
    return _path(looks, np.asarray(reference, dtype=np.float64), _spread)


def rise_path(looks: Array, reference: Array) -> Array:
    """Log e-value (T,) after each of the looks (T, 2) of (errors, rows right) that errors are no more frequent.

    ``reference`` (2,): errors and rows right before, each at least a half. One-sided: fewer errors are no evidence.
    """
    return _path(looks, np.asarray(reference, dtype=np.float64), _risen)


def drift_evidence(looks: Array, reference: Array) -> float:
    """The same after all looks alone; O(T K)."""
    return float(_path(looks, np.asarray(reference, dtype=np.float64), _spread, last=True)[-1])


def rise_evidence(looks: Array, reference: Array) -> float:
    """The same after all looks alone; O(T)."""
    return float(_path(looks, np.asarray(reference, dtype=np.float64), _risen, last=True)[-1])


def _spread(known: Array) -> Array:
    """What the rows may have become (A, T, K), given all that was known (T, K) before each start.

    Never nearer to the known shares than these are known: rows that vary less than drawn ones (an hour of the day) are
    no drift.
    """
    total = known.sum(axis=-1, keepdims=True)
    return np.stack([np.minimum(c * known.shape[-1], SURER * total) / total * known for c in CENTRED])


def _risen(known: Array) -> Array:
    total = known.sum(axis=-1, keepdims=True)
    share = np.stack([np.minimum(known[:, :1] / total + rise, 1.0 - 0.5 / total) for rise in RISES])
    return np.asarray(np.concatenate([share * total, (1.0 - share) * total], axis=-1))


def _path(looks: Array, reference: Array, alternatives: Callable[[Array], Array], *, last: bool = False) -> Array:
    """Mixes over starts and alternatives. Before its start, rows are as the reference; what they were like then
    sharpens the alternative, which may depend on all that came before it.
    """
    looks = np.asarray(looks, dtype=np.float64)
    if not len(looks):
        return np.zeros(1)
    running = looks.cumsum(axis=0)
    before = running - looks
    past, whole = log_polya(before, reference), log_polya(running, reference)
    became = alternatives(reference + before)
    weights, equal = np.log(start_weights(len(looks))), math.log(len(became))
    never = np.log1p(-np.exp(weights).cumsum())  # kept on "no change": E is 1 at the beginning
    out = np.empty(len(looks))
    for t in [len(looks) - 1] if last else range(len(looks)):
        after = running[t] - before[: t + 1]
        each = np.logaddexp.reduce(log_polya(after, became[:, : t + 1]), axis=0) - equal
        out[t] = np.logaddexp(np.logaddexp.reduce(past[: t + 1] + each + weights[: t + 1]) - whole[t], never[t])
    return out


def back_evidence(since: Array, reference: Array, raised: Array) -> float:
    """Log likelihood ratio of rows (T, K) for "as the reference" (K,) against "as what raised the alarm" (K,).

    The largest over all starts: 3 says that the newest rows are twenty times likelier to be as they used to be.
    """
    if not len(since):
        return 0.0
    after = since[::-1].cumsum(axis=0)[::-1].astype(np.float64)
    like = log_polya(after, np.asarray(reference, dtype=np.float64))
    unlike = log_polya(after, np.asarray(raised, dtype=np.float64) + 0.5)
    return float((like - unlike).max())
