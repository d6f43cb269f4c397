"""Which rows to request labels for, drawn with known probabilities, and estimates for all rows from those labels."""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.distributions import t_quantile

FLOOR = 0.25  # share of the draw that is spread evenly, so that every row can be drawn


def inclusion_probabilities(unsure: Array, draws: int) -> Array:
    """(n,) probability of each row to be among ``draws`` rows: by its uncertainty ``unsure`` (n,), with a floor."""
    n = len(unsure)
    mean = float(unsure.mean()) if n else 0.0
    size = FLOOR + (1.0 - FLOOR) * (unsure / mean if mean > 0 else np.ones(n))
    result, certain = np.zeros(n), np.zeros(n, dtype=bool)
    while True:
        left = draws - int(certain.sum())
        result = np.where(certain, 1.0, left * size / max(float(size[~certain].sum()), 1e-300))
        above = (result >= 1.0) & ~certain
        if not above.any() or left <= 0:
            return np.minimum(result, 1.0)
        certain |= above


def draw_rows(chance: Array, seed: int) -> Array:
    """Indices of exactly sum(chance) rows, each drawn with its probability. Source: Madow (1949), in random order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(chance))
    running = np.cumsum(chance[order]) + rng.random()
    return np.sort(order[np.floor(running) > np.floor(np.r_[running[0] - chance[order][0], running[:-1]])])


def sampling_weights(sampled_with: Array, rows: int) -> Array:
    """(n,) how many rows each labelled row stands for.

    A row that was not sampled (``sampled_with`` (n,) is NaN) stands for itself; a sampled one for its part, by one over
    its probability, of the ``rows`` without a label of their own (Hajek's estimator).
    """
    drawn = np.isfinite(sampled_with)
    result = np.ones(len(sampled_with))
    if drawn.any():
        inverse = 1.0 / sampled_with[drawn]
        result[drawn] = inverse / inverse.sum() * max(rows - int((~drawn).sum()), int(drawn.sum()))
    return result


def estimate_share(right: Array, sampled_with: Array, rows: int) -> tuple[float, float, float]:
    """Share of ``right`` (n,) among all ``rows``, from labelled rows of which some were sampled; low and high, 95 %.

    Only the sampled rows add to the error; the others are known. One right and one wrong row are added, also for the
    interval's middle: around the share itself it held the truth in 93.8 % of cases where few rows are wrong.
    Source: Agresti and Coull (1998), https://doi.org/10.1080/00031305.1998.10480550
    """
    weight, drawn = sampling_weights(sampled_with, rows), np.isfinite(sampled_with)
    value = float((weight * right).sum() / weight.sum())
    n = int(drawn.sum())
    if n < 2:
        return value, math.nan, math.nan
    w = np.r_[weight[drawn], weight[drawn].mean(), weight[drawn].mean()]
    r = np.r_[right[drawn], 0.0, 1.0]
    middle = float((w * r).sum() / w.sum())
    scatter = math.sqrt(float((w**2 * (r - middle) ** 2).sum()) * n / (n - 1.0)) / weight.sum()
    reach = t_quantile(0.975, n - 1) * scatter * w[:n].sum() / w.sum()
    asked_for = float(np.average(right[drawn], weights=weight[drawn]))
    centre = value + (middle - asked_for) * weight[drawn].sum() / weight.sum()
    return value, max(0.0, min(value, centre - reach)), min(1.0, max(value, centre + reach))
