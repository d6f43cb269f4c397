"""Arithmetic of ranked rows: what the first few rows of each group hold. Ties count as all their orders on average."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from evermodel.core.errors import BadData
from evermodel.core.scoring import NAN, number_rows
from evermodel.core.table import Array

TOP = 10
OfGroup = Callable[[Array, Array, Array, int], float]


def mean_of_groups(of: OfGroup, y: Array, p: Array, group: Array | None, weight: Array | None, top: int) -> float:
    """Mean of ``of`` over the groups that have a relevant row (y above 0), each counting once; NaN without any."""
    values = of_each_group(of, y, p, group, weight, top)
    return float(np.mean(values)) if len(values) else NAN


def of_each_group(
    of: OfGroup, y: Array, p: Array, group: Array | None, weight: Array | None = None, top: int = TOP
) -> Array:
    """(groups,) value of each group that has a relevant row. ``y`` (n,): how relevant, at least 0; ``p`` (n,) score."""
    y, p = number_rows(y, p)
    if len(y) and y.min() < 0:
        raise BadData(f"How relevant a row is must be 0 or more. Got {y.min()}.")
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    found = [of(y[at], p[at], w[at], top) for at in _groups(group, len(y))]
    return np.array([v for v in found if np.isfinite(v)])


def _groups(group: Array | None, n: int) -> Iterator[Array]:
    if group is None:
        yield np.arange(n)
        return
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.asarray(group)[order][1:] != np.asarray(group)[order][:-1]) + 1
    yield from (part for part in np.split(order, ends) if len(part))


def blocks(score: Array, *values: Array) -> tuple[Array, ...]:
    """The values (n,) added up over rows of one score, the best score first."""
    _, inverse = np.unique(-score, return_inverse=True)
    return tuple(np.bincount(inverse, weights=v) for v in values)
