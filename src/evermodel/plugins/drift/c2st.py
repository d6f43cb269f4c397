"""Classifier two-sample test: can new rows be told from the reference rows, by all columns at once?"""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.auc import compute_auc
from evermodel.core.stats.distribution_distances import NAN

KINDS = ("rows",)
PARTS = 2  # each half of the rows is scored by the classifier trained on the other half
STEPS = 25  # of Newton's method
RIDGE = 1.0
MOST = 30  # columns up to which their products are features too


def c2st(reference: Array, current: Array, /) -> float:
    """|2 AUC - 1| of a cross-fitted classifier between rows (n, d) and (m, d): 0 cannot tell, 1 tells each.

    Logistic regression on standardized columns, their squares and products, so that a changed correlation is seen.
    Own code: scikit-learn is an optional package, and Newton's method takes ten lines.
    Rows without drift give about 1 / sqrt(n + m), not 0. NaN for fewer than four rows of a kind. O((n + m) d^4).
    Source: Lopez-Paz & Oquab (2017).
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (reference, current))
    if min(len(a), len(b)) < 2 * PARTS:
        return NAN
    x, y = np.concatenate([a, b]), np.r_[np.zeros(len(a)), np.ones(len(b))]
    x, y = _in_fixed_order(x, y)
    x = _features(x)
    score = np.empty(len(y))
    fold = np.empty(len(y), dtype=np.int64)
    for kind in (0.0, 1.0):
        fold[y == kind] = np.arange(int((y == kind).sum())) % PARTS
    for part in range(PARTS):
        inside = fold == part
        score[inside] = x[inside] @ _fitted(x[~inside], y[~inside])
    areas = [compute_auc(y[fold == p] == 1, score[fold == p]) for p in range(PARTS)]
    return abs(2.0 * float(np.mean(areas)) - 1.0)


def _in_fixed_order(x: Array, y: Array) -> tuple[Array, Array]:
    """Sorted by value, then shuffled by a fixed seed: the halves do not depend on the order the rows came in."""
    order = np.lexsort((y, *x.T[::-1]))
    order = order[np.random.default_rng(0).permutation(len(order))]
    return x[order], y[order]


def _features(x: Array) -> Array:
    spread = x.std(axis=0)
    z = np.clip((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), -5.0, 5.0)
    i, j = np.triu_indices(z.shape[1] if z.shape[1] <= MOST else 0)
    return np.column_stack([np.ones(len(z)), z, z[:, i] * z[:, j]])


def _fitted(x: Array, y: Array) -> Array:
    w = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -30, 30)))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + RIDGE * np.eye(len(w)), x.T @ (y - p) - RIDGE * w)
        w = w + step
        if np.abs(step).max() < 1e-9:
            break
    return w
