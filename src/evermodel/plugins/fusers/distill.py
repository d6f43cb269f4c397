"""One model that learns what several of them together say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.members import build_ensemble, build_scorer, list_members
from evermodel.combining.soft_labels import build_soft_labels
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["distill"]


def distill(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    share: Annotated[float, In(0.0, 1.0)] = 0.7,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    temperature: Annotated[float, In(0.5, 20.0)] = 1.0,
) -> Model:
    """Train one model of the best parent's structure on what all of them together say of the known and new rows.

    ``share`` of each row's weight goes to the teacher's probabilities (at ``temperature``), the rest to its label. As
    fast as a single model. The better of student and best parent on ``data.tuning_rows`` is what comes out. Costs one
    training on rows x likely classes. Raises NoData without rows to train on.

        $ evermodel fuse churn v2 v3 v5 --with distill --data april.csv

    Source: https://arxiv.org/abs/1503.02531
    """
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    if not len(rows):
        raise NoData("distill needs rows to train the student on.", "Give labelled rows.")
    teacher = build_ensemble(list_members(parents))
    best = _best(parents, data.tuning_rows)
    student = _single(best)
    table, weight = build_soft_labels(teacher, rows, share, temperature)
    if student.contract.task != "regression":
        student = dataclasses.replace(student, output=Output(student.output.kind, threshold=student.output.threshold))
    training = context.training(student, data.tuning_rows, epochs=epochs, weight=weight)
    taught = student.fit(table, training, from_scratch=not student.signature.network)
    if data.tuning_rows is None or not len(data.tuning_rows):
        return taught
    score = build_scorer(taught, data.tuning_rows)
    return taught if score(taught) >= score(best) else best


def _best(parents: Sequence[Model], tuning: Table | None) -> Model:
    if tuning is None or not len(tuning):
        return parents[0]
    return max(parents, key=build_scorer(parents[0], tuning))


def _single(model: Model) -> Model:
    """A plain model: of an ensemble, the member that counts most."""
    if not isinstance(model.obj, Ensemble):
        return model
    largest = int(np.argmax(model.obj.shares))
    return dataclasses.replace(model.obj.members[largest], contract=model.contract)
