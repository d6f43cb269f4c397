"""E-processes for counts: evidence of a change that may be tested after every window, the reference being a sample.

Rows are counted into K bins by window. If they are like the reference, all of them are exchangeable with its rows; the
chance that an e-value ever reaches 1 / alpha is then at most alpha (Ville's inequality), however often it is tested and
in whatever order late rows come, since the counts of a window only add up. No library has such a process for counts
against a sampled reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from evermodel.core.arrays import Array

CENTRED = (0.5, 20.0, 150.0)  # concentrations by bin of the alternatives: anything, near the reference, very near it
SURER = 0.75  # of the reference's concentration: an alternative is never more certain than that
RISES = (0.02, 0.05, 0.1, 0.2)  # of the error rate, absolute: one-sided, an improvement is no alarm


def log_polya(counts: Array, weights: Array) -> Array:
    """Log probability of one sequence of rows with the counts (…, K), for shares from Dirichlet(weights (…, K))."""
    from scipy.special import gammaln

    n, a = counts.sum(axis=-1), weights.sum(axis=-1)
    each = (gammaln(counts + weights) - gammaln(weights)).sum(axis=-1)
    return np.asarray(each - gammaln(n + a) + gammaln(a))


def start_weights(t: int) -> Array:
    """(t,) prior probability that a change began with window 1 … t, about 1 / (s log^2 s); it sums to less than 1."""
    s = np.arange(1, t + 1, dtype=np.float64)
    return np.asarray(1.0 / ((s + 1.0) * np.log(s + 1.0) ** 2) / 2.2)  # the series adds up to 2.11


def compute_drift_path(windows: Array, reference: Array) -> Array:
    """Log e-value (T,) after each of the windows (T, K), against "the rows are as the reference (K,)".

    ``reference``: gaps between order statistics by bin (the shares are then exactly Dirichlet, for any continuous
    column), or reference rows by category. A change may have begun with any window. O(T^2 K).
    """
    return _path(windows, np.asarray(reference, dtype=np.float64), _spread)


def compute_rise_path(windows: Array, reference: Array) -> Array:
    """Log e-value (T,) after each of the windows (T, 2) of (errors, rows right), against "no more errors than before".

    ``reference`` (2,): errors and rows right before, each at least a half. One-sided: fewer errors are no evidence.
    """
    return _path(windows, np.asarray(reference, dtype=np.float64), _risen)


def compute_drift_evidence(windows: Array, reference: Array) -> float:
    """``compute_drift_path`` after the last window alone; O(T K)."""
    return float(_path(windows, np.asarray(reference, dtype=np.float64), _spread, last=True)[-1])


def compute_rise_evidence(windows: Array, reference: Array) -> float:
    """``compute_rise_path`` after the last window alone; O(T)."""
    return float(_path(windows, np.asarray(reference, dtype=np.float64), _risen, last=True)[-1])


def _spread(counts: Array) -> Array:
    """Alternatives (A, T, K), given the counts known (T, K) before each start.

    They are never nearer to the known shares than these are certain: rows that vary less than rows drawn at random (an
    hour of the day) are no drift.
    """
    total = counts.sum(axis=-1, keepdims=True)
    return np.stack([np.minimum(c * counts.shape[-1], SURER * total) / total * counts for c in CENTRED])


def _risen(counts: Array) -> Array:
    total = counts.sum(axis=-1, keepdims=True)
    share = np.stack([np.minimum(counts[:, :1] / total + rise, 1.0 - 0.5 / total) for rise in RISES])
    return np.asarray(np.concatenate([share * total, (1.0 - share) * total], axis=-1))


def _path(windows: Array, reference: Array, alternatives: Callable[[Array], Array], *, last: bool = False) -> Array:
    """Mixes over starts and alternatives. Before its start, rows are as the reference; they make the alternative more
    certain, which may depend on everything before it.
    """
    windows = np.asarray(windows, dtype=np.float64)
    if not len(windows):
        return np.zeros(1)
    running = windows.cumsum(axis=0)
    before = running - windows
    past, whole = log_polya(before, reference), log_polya(running, reference)
    became = alternatives(reference + before)
    weights, equal = np.log(start_weights(len(windows))), math.log(len(became))
    never = np.log1p(-np.exp(weights).cumsum())  # kept on "no change": E is 1 at the beginning
    out = np.empty(len(windows))
    for t in [len(windows) - 1] if last else range(len(windows)):
        after = running[t] - before[: t + 1]
        each = np.logaddexp.reduce(log_polya(after, became[:, : t + 1]), axis=0) - equal
        out[t] = np.logaddexp(np.logaddexp.reduce(past[: t + 1] + each + weights[: t + 1]) - whole[t], never[t])
    return out


def compute_return_evidence(since: Array, reference: Array, raised: Array) -> float:
    """Log likelihood ratio of rows (T, K) for "as the reference" (K,) against "as the rows that raised the alarm" (K,).

    The largest over all starts: at 3 the newest rows are twenty times likelier to be as they used to be.
    """
    if not len(since):
        return 0.0
    after = since[::-1].cumsum(axis=0)[::-1].astype(np.float64)
    like = log_polya(after, np.asarray(reference, dtype=np.float64))
    unlike = log_polya(after, np.asarray(raised, dtype=np.float64) + 0.5)
    return float((like - unlike).max())
