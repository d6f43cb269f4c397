"""The one entry of an estimator's learning curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evermodel.core.table import Array
from evermodel.core.training import Epoch, Training

MOST = 5_000  # training rows that tell the loss


def epoch_of(model: Any, x: Any, labels: Array, training: Training, seconds: float) -> Epoch:
    """One entry: loss and score on training rows (at most MOST) and on the validation rows, all asked at once."""
    rows = np.random.default_rng(0).choice(len(labels), min(len(labels), MOST), replace=False)
    asked, known = x[rows], labels[rows]
    if training.validation is not None and len(training.validation[1]):
        watched, codes = training.validation
        asked = pl.concat([asked, watched]) if isinstance(asked, pl.DataFrame) else np.concatenate([asked, watched])
        known = np.concatenate([known, np.asarray(training.classes)[codes] if training.classes else codes])
    answers = model.predict_proba(asked) if hasattr(model, "classes_") else model.predict(asked)
    n = len(rows)
    loss, score = _loss_and_score(model, answers[:n], known[:n])
    if len(known) == n:
        return Epoch(1, loss, score, seconds=seconds)
    return Epoch(1, loss, score, *_loss_and_score(model, answers[n:], known[n:]), seconds=seconds)


def _loss_and_score(model: Any, p: Array, labels: Array) -> tuple[float, float]:
    if not hasattr(model, "classes_"):
        error = float(np.mean((p - labels) ** 2))
        return error, 1.0 - error / (float(np.var(labels)) or 1.0)
    code = np.searchsorted(model.classes_, labels).clip(0, len(model.classes_) - 1)
    right = np.where(model.classes_[code] == labels, p[np.arange(len(p)), code], 0.0)
    hits = model.classes_[p.argmax(axis=1)] == labels
    return float(-np.log(np.maximum(right, 1e-12)).mean()), float(hits.mean())
