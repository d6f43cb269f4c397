"""Which rows to ask labels for, drawn with known chances, and what is known of all rows once those labels are back."""

from __future__ import annotations

import math

import numpy as np

from evermodel.core.statistics import t_quantile
from evermodel.core.table import Array

FLOOR = 0.25  # of the draw is spent evenly, so that no row that matters is out of reach


def chances(unsure: Array, draws: int) -> Array:
    """(n,) chance of each row to be among ``draws`` rows: by how ``unsure`` (n,) it is, with a floor; sum: draws."""
    n = len(unsure)
    mean = float(unsure.mean()) if n else 0.0
    size = FLOOR + (1.0 - FLOOR) * (unsure / mean if mean > 0 else np.ones(n))
    found, certain = np.zeros(n), np.zeros(n, dtype=bool)
    while True:
        left = draws - int(certain.sum())
        found = np.where(certain, 1.0, left * size / max(float(size[~certain].sum()), 1e-300))
        above = (found >= 1.0) & ~certain
        if not above.any() or left <= 0:
            return np.minimum(found, 1.0)
        certain |= above


def draw(chance: Array, seed: int) -> Array:
    """Indices of exactly sum(chance) rows, each drawn with its chance. Source: Madow (1949), in random order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(chance))
    running = np.cumsum(chance[order]) + rng.random()
    return np.sort(order[np.floor(running) > np.floor(np.r_[running[0] - chance[order][0], running[:-1]])])


def weights_of(asked: Array, rows: int) -> Array:
    """(n,) rows that each labelled row stands for: itself, where ``asked`` (n,) is NaN; else, by one over the chance it
    was drawn with, its part of the ``rows`` that have no label of their own (Hajek's estimate).
    """
    drawn = np.isfinite(asked)
    found = np.ones(len(asked))
    if drawn.any():
        inverse = 1.0 / asked[drawn]
        found[drawn] = inverse / inverse.sum() * max(rows - int((~drawn).sum()), int(drawn.sum()))
    return found


def share_of_all(right: Array, asked: Array, rows: int) -> tuple[float, float, float]:
    """Share of ``right`` (n,) among all ``rows``, from labelled rows of which some were asked for; low and high, 95 %.

    The scatter is that of the asked rows alone: the others are known. As if one more of each kind had come, in the
    interval's middle too: around the share itself it held the truth in 93.8 % where few rows are wrong.
    Source: Agresti and Coull (1998), https://doi.org/10.1080/00031305.1998.10480550
    """
    weight, drawn = weights_of(asked, rows), np.isfinite(asked)
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
