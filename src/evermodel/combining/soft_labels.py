"""Rows with a model's predictions as labels, so that another model can be trained on them (distillation)."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model

LEAST = 0.01  # probability below which a class gets no row of its own


def build_soft_labels(teacher: Model, rows: Table, share: float, temperature: float = 1.0) -> tuple[Table, Array]:
    """Rows labelled by the teacher's predictions, and their weights (n,) with mean 1.

    Each row occurs once for each likely class: ``share`` of its weight goes to the teacher's probabilities, the rest
    to its own label. For regression, the label is the weighted mean of prediction and label; of free text it is what
    the teacher writes (https://arxiv.org/abs/1606.07947), whatever the share.
    """
    target = rows.roles.target or ""
    predictions = teacher.predict(rows.frame)
    if teacher.contract.task == "text":  # what the teacher writes is learnt in the place of the references
        frame = rows.frame.with_columns(pl.Series(target, predictions.tolist(), dtype=pl.String))
        return dataclasses.replace(rows, frame=frame), _multiply_row_weights(rows, np.ones(len(rows)))
    if teacher.contract.task == "regression":
        mixed = share * predictions + (1.0 - share) * teacher.target(rows)
        frame = rows.frame.with_columns(pl.Series(target, mixed).cast(pl.Float64))
        return dataclasses.replace(rows, frame=frame), _multiply_row_weights(rows, np.ones(len(rows)))
    p = predictions ** (1.0 / temperature)
    p = share * p / p.sum(axis=1, keepdims=True)
    p[np.arange(len(rows)), teacher.target(rows)] += 1.0 - share
    at, label = np.nonzero(p >= LEAST)
    kind = rows.frame[target].dtype
    frame = rows.frame[at].with_columns(pl.Series(target, label).cast(kind))
    blocks = None if rows.blocks is None else rows.blocks[at]
    weight = _multiply_row_weights(rows, np.ones(len(rows)))[at] * p[at, label]
    return Table(frame, rows.roles, blocks), np.asarray(weight / weight.mean())


def _multiply_row_weights(rows: Table, weight: Array) -> Array:
    if rows.roles.weight is None:
        return weight
    return np.asarray(weight * rows.frame[rows.roles.weight].to_numpy())
