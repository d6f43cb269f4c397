"""Average precision: the area under the precision-recall curve."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric_arithmetic import NAN, check_class_rows

HIGHER_IS_BETTER = True
TASKS = ("binary", "multiclass")
LABEL = "average precision"
MARGIN_UNIT = "points"
BINS = 4_096  # of equally many positive rows, which a table counts as if they had one score; exact up to so many


def pr_auc(y: Array, p: Array, /, *, weight: Array | None = None) -> float:
    """Mean precision at the threshold of each positive row, no interpolation; for rare positives.

    Class 1 of two; the mean over the classes that occur, of more. NaN without a positive row.
    """
    y, p = check_class_rows(y, p)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    present = np.flatnonzero(np.bincount(y, weights=w, minlength=p.shape[1]) > 0)
    if p.shape[1] == 2:
        present = present[present == 1]
    return float(np.mean([_average(y == c, p[:, c], w[None])[0] for c in present])) if len(present) else NAN


def score_resamples(y: Array, p: Array, weights: Array, /) -> Array:
    """``pr_auc`` of two classes with each of the weightings (r, n) -> (r,); the rows are sorted once."""
    y, p = check_class_rows(y, p)
    return _average(y == 1, p[:, 1], weights)


def _average(positive: Array, score: Array, weights: Array) -> Array:
    """(r,) for weights (r, n); NaN without a positive row. Rows of one score count together."""
    order = np.argsort(-score, kind="stable")
    score, weights = score[order], weights[:, order]
    ends = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    at = np.flatnonzero(positive[order])
    reached = ends[np.searchsorted(ends, at)]  # the last row with the same score
    hits = np.zeros((len(weights), len(at) + 1))
    np.cumsum(weights[:, at], axis=1, out=hits[:, 1:])
    above = hits[:, np.searchsorted(at, reached, side="right")]
    totals, seen = hits[:, -1], np.cumsum(weights, axis=1)[:, reached]
    of_each = np.divide(weights[:, at] * above, seen, out=np.zeros_like(seen), where=seen > 0)
    found = np.full(len(weights), NAN)
    np.divide(of_each.sum(axis=1), totals, out=found, where=totals > 0)
    return found


def tabulate_groups(y: Array, p: Array, codes: Array, n_groups: int, /) -> Array:
    """(n_groups, 2 x bins): the positive rows in each bin of the score, highest first, then all rows."""
    y, p = check_class_rows(y, p)
    score = -p[:, 1]
    of_positive = np.sort(score[y == 1])
    edges = np.unique(of_positive[np.linspace(0, len(of_positive) - 1, min(BINS, len(of_positive))).astype(int)])
    bins, cells = np.searchsorted(edges, score), len(edges) + 1  # the last: below every positive row
    places = codes * cells + bins
    positive = np.bincount(places[y == 1], minlength=n_groups * cells).reshape(n_groups, cells)
    return np.hstack([positive, np.bincount(places, minlength=n_groups * cells).reshape(n_groups, cells)])


def score_tables(tables: Array, /) -> Array:
    """``pr_auc`` of sums of groups' tables (r, 2 x bins) -> (r,)."""
    positive, rows = np.hsplit(tables.astype(np.float64), 2)
    hits, seen, totals = np.cumsum(positive, axis=1), np.cumsum(rows, axis=1), positive.sum(axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    found = np.full(len(tables), NAN)
    np.divide((positive * precision).sum(axis=1), totals, out=found, where=totals > 0)
    return found
