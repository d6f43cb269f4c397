"""Rows with a model's answers for labels, so that another one can learn what it knows."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.model import Model
from evermodel.core.table import Array, Table

LEAST = 0.01  # a class that the teacher gives less is not worth a row


def taught(teacher: Model, rows: Table, share: float, temperature: float = 1.0) -> tuple[Table, Array]:
    """Rows with the teacher's answers for labels: each row once a likely class, weighted; mean weight 1.

    ``share`` of each row's weight goes to the teacher's probabilities, the rest to its own label. A number is mixed.
    """
    target = rows.roles.target or ""
    said = teacher.predict(rows.frame)
    if teacher.contract.task == "regression":
        mixed = share * said + (1.0 - share) * teacher.target(rows)
        frame = rows.frame.with_columns(pl.Series(target, mixed).cast(pl.Float64))
        return dataclasses.replace(rows, frame=frame), _own(rows, np.ones(len(rows)))
    p = said ** (1.0 / temperature)
    p = share * p / p.sum(axis=1, keepdims=True)
    p[np.arange(len(rows)), teacher.target(rows)] += 1.0 - share
    at, label = np.nonzero(p >= LEAST)
    kind = rows.frame[target].dtype
    frame = rows.frame[at].with_columns(pl.Series(target, label).cast(kind))
    blocks = None if rows.blocks is None else rows.blocks[at]
    weight = _own(rows, np.ones(len(rows)))[at] * p[at, label]
    return Table(frame, rows.roles, blocks), np.asarray(weight / weight.mean())


def _own(rows: Table, weight: Array) -> Array:
    if rows.roles.weight is None:
        return weight
    return np.asarray(weight * rows.frame[rows.roles.weight].to_numpy())
