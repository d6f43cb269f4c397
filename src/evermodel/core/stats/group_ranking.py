"""Arithmetic of rows ranked within groups: what the first few rows hold. Ties count as the mean over their orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.stats.metric_arithmetic import NAN, check_number_rows

TOP = 10
OfGroup = Callable[[Array, Array, Array, int], float]


def average_groups(of: OfGroup, y: Array, p: Array, group: Array | None, weight: Array | None, top: int) -> float:
    """Mean of ``of`` over the groups that have a relevant row (y above 0), each counting once; NaN without any."""
    values = score_groups(of, y, p, group, weight, top)
    return float(np.mean(values)) if len(values) else NAN


def score_groups(
    of: OfGroup, y: Array, p: Array, group: Array | None, weight: Array | None = None, top: int = TOP
) -> Array:
    """(groups,) value of each group that has a relevant row. ``y`` (n,): how relevant, at least 0; ``p`` (n,) score."""
    y, p = check_number_rows(y, p)
    if len(y) and y.min() < 0:
        raise BadData(f"The relevance of a row must be 0 or more. Got {y.min()}.")
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    values = [of(y[at], p[at], w[at], top) for at in _groups(group, len(y))]
    return np.array([v for v in values if np.isfinite(v)])


def _groups(group: Array | None, n: int) -> Iterator[Array]:
    if group is None:
        yield np.arange(n)
        return
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.asarray(group)[order][1:] != np.asarray(group)[order][:-1]) + 1
    yield from (part for part in np.split(order, ends) if len(part))


def sum_ties(score: Array, *values: Array) -> tuple[Array, ...]:
    """The values (n,) summed over rows of equal score, the best score first."""
    _, inverse = np.unique(-score, return_inverse=True)
    return tuple(np.bincount(inverse, weights=v) for v in values)
