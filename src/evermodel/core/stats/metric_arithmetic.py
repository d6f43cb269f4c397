"""Arithmetic that the metrics share: checks of rows, sums over rows, cumulated weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData

NAN = float("nan")


def check_class_rows(y: Array, p: Array) -> tuple[Array, Array]:
    """Checked classification rows: codes ``y`` (n,) int and probabilities ``p`` (n, k), k >= 2."""
    p = np.asarray(p, dtype=np.float64)
    y = np.asarray(y)
    if p.ndim != 2 or p.shape[1] < 2 or y.shape != p.shape[:1]:
        raise BadData(
            f"Classification needs y (n,) and probabilities (n, k) with k >= 2. Got y {y.shape} and p {p.shape}.",
            "A column q of probabilities of class 1 is np.column_stack([1 - q, q]).",
        )
    check_finite(y, p)
    codes = y.astype(np.int64)
    if len(codes) and (codes.min() < 0 or codes.max() >= p.shape[1] or (codes != y).any()):
        raise BadData(f"y must hold class codes in 0 … {p.shape[1] - 1}. Got {y.min()} … {y.max()}.")
    return codes, p


def check_number_rows(y: Array, p: Array) -> tuple[Array, Array]:
    """Checked regression rows: ``y`` (n,) and ``p`` (n,) float."""
    y, p = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise BadData(f"Regression needs y (n,) and p (n,). Got {y.shape} and {p.shape}.")
    check_finite(y, p)
    return y, p


def check_text_rows(y: Array, p: Array) -> tuple[Array, Array]:
    """Checked rows of free text: ``y`` (n,) tokens of the reference answer, and ``p`` (n, 3): the nats that these cost
    the model, whether its own answer is the reference, and the F1 of their words.
    """
    y, p = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if y.ndim != 1 or p.shape != (len(y), 3):
        raise BadData(f"Free text needs y (n,) and p (n, 3). Got {y.shape} and {p.shape}.")
    check_finite(y, p)
    return y, p


def check_finite(y: Array, p: Array) -> None:
    """Raises BadData where a value is NaN or infinite: such rows cannot be scored."""
    if np.isfinite(y).all() and np.isfinite(p).all():
        return
    rows = ~np.isfinite(np.asarray(y, dtype=np.float64))
    rows |= ~np.isfinite(p.reshape(len(p), -1)).all(axis=1)
    at = int(np.flatnonzero(rows)[0])
    raise BadData(
        f"Labels and predictions must be finite numbers. Got {int(rows.sum())} rows that are not, the first at {at}."
    )


def sum_rows(sums: Array, weight: Array | None) -> Array:
    """Sums (n, s) added over rows, each row counting ``weight`` (n,) times -> (s,)."""
    return sums.sum(axis=0) if weight is None else np.asarray(weight, dtype=np.float64) @ sums


def divide(above: Array, below: Array) -> Array:
    """above / below; NaN (never 0, never a warning) where ``below`` is 0."""
    below = np.asarray(below, dtype=np.float64)
    out = np.full(np.broadcast(above, below).shape, NAN)
    np.divide(above, below, out=out, where=below > 0)
    return out


def append_ones(values: Array) -> Array:
    """(n,) -> (n, 2): the value and 1, so that the sums hold numerator and denominator of a mean."""
    return np.column_stack([values, np.ones(len(values))])


def mean_of_sums(sums: Array) -> Array:
    """(…, 2) numerator and denominator -> (…) mean."""
    return divide(sums[..., 0], sums[..., 1])


def confusion_terms(y: Array, p: Array) -> Array:
    """(n, 3k): per class, whether the row is a true positive, is predicted so, is so in truth."""
    y, p = check_class_rows(y, p)
    classes = np.arange(p.shape[1])
    predicted = p.argmax(axis=1)[:, None] == classes
    truth = y[:, None] == classes
    return np.concatenate([predicted & truth, predicted, truth], axis=1).astype(np.float64)


def average_classes(sums: Array, score: Callable[[Array, Array, Array], Array]) -> Array:
    """Confusion sums (…, 3k) -> (…): class 1 of two; the mean over the classes that occur, of more than two."""
    hit, predicted, truth = np.split(sums, 3, axis=-1)
    each = score(hit, predicted, truth)
    if hit.shape[-1] == 2:
        return each[..., 1]
    occurs = (truth > 0) | (predicted > 0)
    return divide(np.where(occurs, each, 0.0).sum(axis=-1), occurs.sum(axis=-1))


def cumulate_weights(score: Array, weights: Array) -> tuple[Array, Array]:
    """For each row: the weight of rows with a lower score, and of rows with the same -> (…, n) each."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    running = np.cumsum(weights[..., order], axis=-1)[..., ends]
    below = np.concatenate([np.zeros((*running.shape[:-1], 1)), running[..., :-1]], axis=-1)
    bucket = np.searchsorted(ordered[ends], score)
    return below[..., bucket], (running - below)[..., bucket]
