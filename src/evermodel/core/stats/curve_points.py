"""ROC and precision-recall curves with few enough points to draw, thinned so that their area hardly changes."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array

MOST_POINTS = 100
_COARSE = 1_000  # points before the careful thinning, which costs their square


def compute_roc_points(positive: Array, score: Array) -> Array:
    """(m, 2) false and true positive rates from (0, 0) to (1, 1), m <= 100; ``positive`` (n,) bool, ``score`` (n,).

    Ties are one step. NaN-free only where both classes occur; otherwise (0, 2).
    """
    hits, falls = _counted(positive, score)
    if not hits[-1] or not falls[-1]:
        return np.empty((0, 2))
    return thin_points(np.column_stack([falls / falls[-1], hits / hits[-1]]))


def compute_precision_recall_points(positive: Array, score: Array) -> Array:
    """(m, 2) recall and precision, m <= 100, the highest scores first; (0, 2) where no row is positive."""
    hits, falls = _counted(positive, score)
    if not hits[-1]:
        return np.empty((0, 2))
    hits, falls = hits[1:], falls[1:]  # of no row called positive, no share can be right
    precision = hits / (hits + falls)
    return thin_points(np.column_stack([np.r_[0.0, hits / hits[-1]], np.r_[precision[:1], precision]]))


def thin_points(points: Array, most: int = MOST_POINTS) -> Array:
    """At most ``most`` of the ``points`` (n, 2), both ends among them, the area under them hardly changed.

    First points evenly along the way; then, again and again, the one that spans the least triangle with its
    neighbours leaves (Visvalingam & Whyatt 1993).
    """
    points = points[np.r_[True, (np.diff(points, axis=0) != 0).any(axis=1)]]
    if len(points) > _COARSE:
        way = np.r_[0.0, np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum()]
        at = np.searchsorted(way, np.linspace(0.0, way[-1], _COARSE))
        points = points[np.unique(np.r_[0, np.minimum(at, len(points) - 1), len(points) - 1])]
    while len(points) > most:
        a, b, c = points[:-2], points[1:-1], points[2:]
        spanned = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))
        points = np.delete(points, int(spanned.argmin()) + 1, axis=0)
    return points


def _counted(positive: Array, score: Array) -> tuple[Array, Array]:
    """Positives and negatives among the rows at or above each threshold, the highest first, from none to all."""
    order = np.argsort(-score, kind="stable")
    ordered, right = score[order], positive[order].astype(np.int64)
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(ordered) else np.empty(0, dtype=np.int64)
    hits = np.r_[0, right.cumsum()[ends]]
    falls = np.r_[0, (1 - right).cumsum()[ends]]
    return hits, falls
