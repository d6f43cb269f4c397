"""The one entry of an estimator's learning curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks._sklearn.several_targets import list_heads, measure_answers

MOST = 5_000  # training rows that tell the loss


def epoch_of(
    answer: Callable[[Any], Array], model: Any, x: Any, labels: Array, training: Training, seconds: float
) -> Epoch:
    """One entry: loss and score on training rows (at most MOST) and on the validation rows, all asked at once."""
    rows = np.random.default_rng(0).choice(len(labels), min(len(labels), MOST), replace=False)
    rows_to_score, their_labels = x[rows], labels[rows]
    if training.validation is not None and len(training.validation[1]):
        watched, codes = training.validation
        rows_to_score = (
            pl.concat([rows_to_score, watched])
            if isinstance(rows_to_score, pl.DataFrame)
            else np.concatenate([rows_to_score, watched])
        )
        their_labels = np.concatenate(
            [their_labels, np.asarray(training.classes)[codes] if training.classes and codes.ndim == 1 else codes]
        )
    answers = answer(rows_to_score)
    n = len(rows)
    loss, score = _loss_and_score(model, answers[:n], their_labels[:n])
    if len(their_labels) == n:
        return Epoch(1, loss, score, seconds=seconds)
    return Epoch(1, loss, score, *_loss_and_score(model, answers[n:], their_labels[n:]), seconds=seconds)


def _loss_and_score(model: Any, p: Array, labels: Array) -> tuple[float, float]:
    if labels.ndim > 1:  # codes, or numbers, of several targets
        return measure_answers(list_heads(model), p, labels)
    if not hasattr(model, "classes_"):
        error = float(np.mean((p - labels) ** 2))
        return error, 1.0 - error / (float(np.var(labels)) or 1.0)
    code = np.searchsorted(model.classes_, labels).clip(0, len(model.classes_) - 1)
    right = np.where(model.classes_[code] == labels, p[np.arange(len(p)), code], 0.0)
    hits = model.classes_[p.argmax(axis=1)] == labels
    return float(-np.log(np.maximum(right, 1e-12)).mean()), float(hits.mean())
