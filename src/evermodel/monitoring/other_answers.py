"""The answers of a model that are not the judged one, in the rows that a monitor keeps: read, predicted, measured.

Each has columns of its own: "o:grade:__y", "o:grade:__code", "o:grade:p0", … for the target column "grade".
"""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.data.contract import Contract
from evermodel.core.data.needed_values import read_target
from evermodel.core.model.model import Model
from evermodel.core.records.model_signature import NamedOutput

MOST_CLASSES_KEPT = 50  # up to which a row's whole distribution is kept
Y, CODE = "__y", "__code"


def name_column(target: str, column: str) -> str:
    return f"o:{target}:{column}"


def list_others(contract: Contract) -> tuple[NamedOutput, ...]:
    return tuple(output for output in contract.outputs if not output.primary)


def read_labels_of_others(contract: Contract, schema: pl.Schema) -> dict[str, pl.Expr]:
    """Column -> the label of each other answer whose target the rows have; null where it cannot be used."""
    return {
        name_column(o.target, Y): read_target(o, schema[o.target]).cast(pl.Float64)
        for o in list_others(contract)
        if o.target in schema
    }


def predict_others(model: Model, batch: pl.DataFrame) -> list[pl.Series]:
    """What the model answers besides the judged answer."""
    answers, found = model.predict_others(batch), []
    for output in list_others(model.contract):
        p = answers[output.target]
        known = np.isfinite(p.reshape(len(p), -1)).all(axis=1)
        codes = np.where(known, p if p.ndim == 1 else p.argmax(axis=1).astype(np.float64), np.nan)
        found.append(pl.Series(name_column(output.target, CODE), codes).fill_nan(None))
        if p.ndim == 2 and p.shape[1] <= MOST_CLASSES_KEPT:
            names = [name_column(output.target, f"p{i}") for i in range(p.shape[1])]
            found += [pl.Series(name, p[:, i].astype(np.float32)) for i, name in enumerate(names)]
    return found


def select_answer(rows: pl.DataFrame, contract: Contract, output: NamedOutput) -> tuple[pl.DataFrame, Contract] | None:
    """Kept rows, and the contract, as of a model that gives this answer alone; None where nothing of it was kept."""
    own = {c: c.removeprefix(name_column(output.target, "")) for c in rows.columns}
    own = {column: plain for column, plain in own.items() if column != plain}
    if not {Y, CODE} <= set(own.values()):
        return None
    alone = dataclasses.replace(contract, task=output.task, classes=output.classes, outputs=())
    return rows.select(pl.col(column).alias(plain) for column, plain in own.items()), alone


def join_labels_of_others(joined: pl.DataFrame) -> pl.DataFrame:
    """Rows to which labels were joined, with those of the other answers in their own columns."""
    came = [column for column in joined.columns if column.startswith("o:") and column.endswith("_right")]
    kept = {column: column.removesuffix("_right") for column in came}
    return joined.with_columns(pl.coalesce(own, column).alias(own) for column, own in kept.items()).drop(came)
