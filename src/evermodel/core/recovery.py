"""Trains a smaller model to do what its parent did."""

from __future__ import annotations

import dataclasses
from typing import Literal

from evermodel.core.change import Context, Split
from evermodel.core.errors import NoData
from evermodel.core.members import surely
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.table import Table
from evermodel.core.teaching import taught

Teaching = Literal["auto", "parent", "labels"]
SHARE = 0.7  # of a row's weight that goes to the parent's answer


def training_rows(data: Split) -> Table:
    """All rows that may be trained on, older ones first. Raises NoData."""
    rows = data.new if data.kept is None else data.kept.with_rows(data.new)
    if not len(rows):
        raise NoData("A pruned model needs rows to be trained on again.", "Give labelled rows.")
    return rows


def recovered(
    smaller: Model, parent: Model, data: Split, ctx: Context, *, epochs: int | None = None,
    teaching: Teaching = "auto", fresh: bool = False,
) -> Model:  # fmt: skip
    """``smaller`` trained on the parent's answers; on the labels where that is better beyond doubt on ``data.tuning``.

    The parent's answers are the lean: under drift what the labels of a few newer rows teach was a gain on the next rows
    and none on those after (bank_marketing: +.13 then +.01 of AUC, the parent's answers +.11 and +.04).
    """
    rows = training_rows(data)
    tunable = data.tuning is not None and len(data.tuning) > 0
    ways = ("parent", "labels") if teaching == "auto" and tunable else ("parent" if teaching == "auto" else teaching,)
    made = [_trained(smaller, parent, rows, data, ctx, epochs, way, fresh) for way in ways]
    if len(made) == 1 or data.tuning is None:
        return made[0]
    taught_by_parent, taught_by_labels = made
    better = surely(taught_by_parent, data.tuning)(taught_by_labels) > 0
    return taught_by_labels if better else taught_by_parent


def _trained(
    smaller: Model, parent: Model, rows: Table, data: Split, ctx: Context, epochs: int | None, way: str, fresh: bool
) -> Model:
    table, weight = taught(parent, rows, SHARE) if way == "parent" else (rows, None)
    if smaller.contract.task != "regression":  # its own corrections were the parent's
        smaller = dataclasses.replace(smaller, output=Output(smaller.output.kind, threshold=smaller.output.threshold))
    decay = smaller.needs.network
    return smaller.fitted(
        table, ctx.training(smaller, data.tuning, epochs=epochs, weight=weight, decay=decay), fresh=fresh
    )
