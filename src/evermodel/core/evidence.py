"""Evidence that may be looked at as often as one likes: e-processes for counts, the reference being a sample.

Rows are counted in K bins a look. Were they like the reference, all of them would be exchangeable with its rows; the
chance that an e-value ever reaches 1 / alpha is then at most alpha (Ville's inequality), however often one looks and
in whatever order late rows come, since the counts of a look only add up.
"""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.table import Array

CENTRED = (0.5, 20.0, 150.0)  # concentrations a bin of what the rows may have become: anything, near, very near
RISES = (0.01, 0.02, 0.04, 0.08, 0.16)  # of the error, absolute: one-sided, an improvement is no alarm
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)


def log_gamma(x: Array) -> Array:
    """log of the gamma function for x > 0, to 1e-12; numpy has none."""
    x = np.asarray(x, dtype=np.float64)
    z = x + 8.0
    product = np.ones_like(x)
    for i in range(8):
        product = product * (x + i)
    series = sum(c / z ** (2 * i + 1) for i, c in enumerate(_STIRLING))
    return np.asarray((z - 0.5) * np.log(z) - z + 0.5 * math.log(2 * math.pi) + series - np.log(product))


def log_polya(counts: Array, weights: Array) -> Array:
    """Log probability of rows in one order, from their counts (…, K), under Dirichlet(weights (…, K)) shares."""
    n, a = counts.sum(axis=-1), weights.sum(axis=-1)
    each = (log_gamma(counts + weights) - log_gamma(weights)).sum(axis=-1)
    return np.asarray(each - log_gamma(n + a) + log_gamma(a))


def start_weights(t: int) -> Array:
    """(t,) prior of a change at start 1 … t, about 1 / (s log^2 s); sums to less than 1 for every t."""
    s = np.arange(1, t + 1, dtype=np.float64)
    return np.asarray(1.0 / ((s + 1.0) * np.log(s + 1.0) ** 2) / 2.2)  # the series adds up to 2.11


def drift_evidence(looks: Array, reference: Array) -> Array:
    """Log e-value after all looks (…, T, K) that a column's rows are as the reference (…, K), a change at any look.

    ``reference``: gaps between order statistics a bin (their shares are then exactly Dirichlet, for any continuous
    column), or reference rows a category. Leading axes are streams or columns. O(T K).
    """
    before, after, whole = _split(looks)
    known = np.asarray(reference, dtype=np.float64)
    shares = known / known.sum(axis=-1, keepdims=True)
    bins = known.shape[-1]
    null = log_polya(whole, known)
    past = log_polya(before, known[..., None, :])
    became = [log_polya(after, (c * bins * shares)[..., None, :]) for c in CENTRED]
    changed = np.logaddexp.reduce(np.stack(became), axis=0) - math.log(len(CENTRED))
    return _mixed(past + changed, null)


def rise_evidence(looks: Array, reference: Array, rises: tuple[float, ...] = RISES) -> Array:
    """Log e-value after all looks (…, T, 2) of (errors, rows right) that errors are not more frequent than before.

    ``reference`` (…, 2): errors and rows right among the reference rows, each at least a half. One-sided: a rarer
    error is no evidence. O(T).
    """
    before, after, whole = _split(looks)
    known = np.asarray(reference, dtype=np.float64)
    total = known.sum(axis=-1)
    null = log_polya(whole, known)
    past = log_polya(before, known[..., None, :])
    became = []
    for rise in rises:
        share = np.minimum(known[..., 0] / total + rise, 1.0 - 0.5 / total)
        weights = np.stack([share * total, (1.0 - share) * total], axis=-1)
        became.append(log_polya(after, weights[..., None, :]))
    changed = np.logaddexp.reduce(np.stack(became), axis=0) - math.log(len(rises))
    return _mixed(past + changed, null)


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


def _split(looks: Array) -> tuple[Array, Array, Array]:
    """Counts before each start, from it on, and in all."""
    looks = np.asarray(looks, dtype=np.float64)
    running = looks.cumsum(axis=-2)
    before = running - looks
    whole = running[..., -1, :]
    return before, whole[..., None, :] - before, whole


def _mixed(changed: Array, null: Array) -> Array:
    weights = start_weights(changed.shape[-1])
    never = np.log1p(-weights.sum())  # the rest is kept on "no change", so that E is 1 at the beginning
    each = changed + np.log(weights) - null[..., None]
    return np.asarray(np.logaddexp(np.logaddexp.reduce(each, axis=-1), never))
