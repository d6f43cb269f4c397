"""Distance between two clouds of rows or embeddings: their mean random features."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distribution_distances import NAN

KINDS = ("rows",)
FEATURES = 256


def mmd(reference: Array, current: Array, /) -> float:
    """Maximum mean discrepancy of rows (n, d) and (m, d), Gaussian kernel, by 256 random features; O((n + m) d).

    Columns are standardised by the reference; the kernel is as wide as d columns scatter. What two samples of one world
    differ by on average is taken off its square: about 0 where nothing moved. NaN for fewer than two rows of a kind.
    For tables and for embeddings of texts or images. Source: Gretton et al. (2012); Rahimi & Recht (2007).
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (reference, current))
    if not len(a) or not len(b):
        return NAN
    shift, scale = a.mean(axis=0), np.where(a.std(axis=0) > 0, a.std(axis=0), 1.0)
    return of_sums(sums((a - shift) / scale), sums((b - shift) / scale))


def sums(x: Array, /) -> Array:
    """Random features of standardised rows (n, d), added up, their squares, and their number: (258,). Adds up."""
    n, d = x.shape
    random = np.random.default_rng(0)
    directions = random.standard_normal((d, FEATURES)) / np.sqrt(d)
    features = np.sqrt(2.0 / FEATURES) * np.cos(x @ directions + random.uniform(0, 2 * np.pi, FEATURES))
    return np.asarray(np.r_[features.sum(axis=0), (features**2).sum(), n])


def of_sums(a: Array, b: Array, /) -> float:
    """The same from both sides' sums."""
    if min(a[-1], b[-1]) < 2:
        return NAN
    (mean, noise), (other, its) = _mean(a), _mean(b)
    return float(np.sqrt(max(0.0, float(((mean - other) ** 2).sum()) - noise - its)))


def _mean(sums: Array) -> tuple[Array, float]:
    """Mean features, and the square by which such a mean scatters."""
    n, mean = sums[-1], sums[:-2] / sums[-1]
    return mean, float((sums[-2] / n - (mean**2).sum()) / (n - 1))
