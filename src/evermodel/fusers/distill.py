"""One model that learns what several of them together say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.ensemble import Ensemble
from evermodel.core.errors import NoData
from evermodel.core.members import as_ensemble, plain_members, scorer
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.settings import In
from evermodel.core.table import Table
from evermodel.core.teaching import taught

__all__ = ["distill"]


def distill(
    parents: Sequence[Model], data: Split, ctx: Context, /, *,
    share: Annotated[float, In(0.0, 1.0)] = 0.7, epochs: Annotated[int | None, In(1, 10_000)] = None,
    temperature: Annotated[float, In(0.5, 20.0)] = 1.0,
) -> Model:  # fmt: skip
    """Train one model of the best parent's structure on what all of them together say of the known and new rows.

    ``share`` of each row's weight goes to the teacher's probabilities (at ``temperature``), the rest to its label. As
    fast as a single model. The better of student and best parent on ``data.tuning`` is what comes out. Costs one
    training on rows x likely classes. Raises NoData without rows to train on.

        $ evermodel fuse churn v2 v3 v5 --with distill --data april.csv

    Source: https://arxiv.org/abs/1503.02531
    """
    rows = data.new if data.kept is None else data.kept.with_rows(data.new)
    if not len(rows):
        raise NoData("distill needs rows to train the student on.", "Give labelled rows: --data.")
    teacher = as_ensemble(plain_members(parents))
    best = _best(parents, data.tuning)
    student = _single(best)
    table, weight = taught(teacher, rows, share, temperature)
    if student.contract.task != "regression":
        student = dataclasses.replace(student, output=Output(student.output.kind, threshold=student.output.threshold))
    training = ctx.training(student, data.tuning, epochs=epochs, weight=weight)
    made = student.fitted(table, training, fresh=not student.needs.network)
    if data.tuning is None or not len(data.tuning):
        return made
    score = scorer(made, data.tuning)
    return made if score(made) >= score(best) else best


def _best(parents: Sequence[Model], tuning: Table | None) -> Model:
    if tuning is None or not len(tuning):
        return parents[0]
    return max(parents, key=scorer(parents[0], tuning))


def _single(model: Model) -> Model:
    """A plain model: of an ensemble, the member that counts most."""
    if not isinstance(model.obj, Ensemble):
        return model
    largest = int(np.argmax(model.obj.shares))
    return dataclasses.replace(model.obj.members[largest], contract=model.contract)
