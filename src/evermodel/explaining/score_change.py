"""Splits the change of the mean loss into what the model changed and what the rows changed."""

from __future__ import annotations

from typing import cast

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.inference import is_prose
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.stats.drift_statistic import DRIFT_STATISTICS
from evermodel.core.stats.metric import METRICS, PerRow
from evermodel.explaining.explanation import ColumnChange, ScoreChange


def measure_losses(model: Model, table: Table) -> Array:
    """(n,) the loss of each row: squared error, or minus the log of the true class's probability."""
    y, predicted = model.target(table), model.predict(table.frame)
    if model.contract.task == "regression":
        return np.square(np.asarray(predicted, dtype=np.float64) - y)
    return cast(PerRow, METRICS.load_module("log_loss")).per_row(y, predicted)


def split_score_change(old: Model, new: Model, before: Table, now: Table) -> ScoreChange:
    """The mean loss of both versions on both sets of rows, and the two parts of its change.

    The parts are Shapley values of a game of two players, the model and the rows: the mean over both orders.
    """
    losses = {
        (version, rows): float(measure_losses(model, table).mean())
        for version, model in (("old", old), ("new", new))
        for rows, table in (("before", before), ("now", now))
    }
    by_model = losses["new", "before"] - losses["old", "before"] + losses["new", "now"] - losses["old", "now"]
    by_data = losses["old", "now"] - losses["old", "before"] + losses["new", "now"] - losses["new", "before"]
    named = {"before": "earlier rows", "now": "newer rows"}
    return ScoreChange(
        "squared error" if old.contract.task == "regression" else "log loss",
        len(before),
        len(now),
        {f"{version} version, {named[rows]}": loss for (version, rows), loss in losses.items()},
        by_model / 2.0,
        by_data / 2.0,
    )


def compare_columns(names: tuple[str, ...], before: pl.DataFrame, now: pl.DataFrame) -> tuple[ColumnChange, ...]:
    """How far each column moved, the farthest first; pictures and texts are left out. O(rows log rows) a column."""
    distance = DRIFT_STATISTICS.load("jensen_shannon")
    changes = []
    for name in names:
        was, is_now = before[name].drop_nulls(), now[name].drop_nulls()
        if was.dtype == pl.Binary or not len(was) or not len(is_now) or (was.dtype == pl.String and is_prose(was)):
            continue
        changes.append(ColumnChange(name, float(distance(was.to_numpy(), is_now.to_numpy()))))
    return tuple(sorted(changes, key=lambda change: -change.distance))
