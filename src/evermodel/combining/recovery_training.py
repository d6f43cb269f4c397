"""Trains a pruned model until it predicts what its parent predicts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from evermodel.combining.members import build_sure_scorer
from evermodel.combining.soft_labels import build_soft_labels
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split

Teaching = Literal["auto", "parent", "labels"]
SHARE = 0.7  # of a row's weight that goes to the parent's prediction


def select_training_rows(data: Split) -> Table:
    """All rows that may be trained on, older ones first. Raises NoData."""
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    if not len(rows):
        raise NoData("A pruned model must be trained again, and there are no labelled rows.", "Give labelled rows.")
    return rows


def train_recovery(
    smaller: Model,
    parent: Model,
    data: Split,
    context: Context,
    *,
    epochs: int | None = None,
    teaching: Teaching = "auto",
    from_scratch: bool = False,
) -> Model:
    """``smaller`` trained on the parent's predictions, or on the labels where that is better beyond doubt.

    ``teaching`` "auto" compares both on ``data.tuning_rows``. The parent's predictions are preferred: under drift,
    training on the labels of a few newer rows was a gain on the next rows and none on those after (bank_marketing:
    +.13, then +.01 of AUC; on the parent's predictions +.11 and +.04).
    """
    rows = select_training_rows(data)
    tunable = data.tuning_rows is not None and len(data.tuning_rows) > 0
    teachers: tuple[Teaching, ...] = ("parent" if teaching == "auto" else teaching,)
    if teaching == "auto" and tunable:
        teachers = ("parent", "labels")
    trained = [_train(smaller, parent, rows, data, context, epochs, teacher, from_scratch) for teacher in teachers]
    if len(trained) == 1 or data.tuning_rows is None:
        return trained[0]
    by_parent, by_labels = trained
    return by_labels if build_sure_scorer(by_parent, data.tuning_rows)(by_labels) > 0 else by_parent


def _train(
    smaller: Model,
    parent: Model,
    rows: Table,
    data: Split,
    context: Context,
    epochs: int | None,
    teacher: Teaching,
    from_scratch: bool,
) -> Model:
    table, weight = build_soft_labels(parent, rows, SHARE) if teacher == "parent" else (rows, None)
    if smaller.contract.task != "regression":  # the output corrections were fitted to the parent
        smaller = dataclasses.replace(smaller, output=Output(smaller.output.kind, threshold=smaller.output.threshold))
    decay = smaller.signature.network
    return smaller.fit(
        table,
        context.training(smaller, data.tuning_rows, epochs=epochs, weight=weight, decay=decay),
        from_scratch=from_scratch,
    )
