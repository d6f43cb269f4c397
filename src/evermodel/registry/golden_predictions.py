"""Golden predictions: a few rows kept with a version and what it answered when it was put. They must never change."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.data.table import Table
from evermodel.core.model.model import Model

ROWS = 16
REPEATS = 5  # of predicting them, at most; the fastest counts, as the one least disturbed
MOST_SECONDS = 1.0  # that repeating takes: what answers slowly is hardly disturbed
TOLERANCE = 1e-5  # relative to the largest answer: other processors add in another order
NAMES = ("golden.parquet", "golden.json")


@dataclass(frozen=True)
class Golden:
    """``difference``: the largest between today's answers and the recorded ones, in units of the largest answer."""

    difference: float
    seconds: float  # to predict the rows, now
    recorded_seconds: float


def write_golden(staged: Path, model: Model, rows: pl.DataFrame) -> None:
    """Records the model's answers to the first of ``rows`` into a version's folder. Costs two to six predictions."""
    names, target = model.contract.names, model.contract.roles.target
    few = rows.head(ROWS).select([*names, target] if model.contract.task == "text" else names)
    few.write_parquet(staged / NAMES[0])
    answers, seconds = _answers(model, few)
    (staged / NAMES[1]).write_text(json.dumps({"answers": answers.tolist(), "seconds": seconds}))


def check_golden(at: Path, model: Model) -> Golden | None:
    """Today's answers beside the recorded ones; None where a version has none."""
    if not (at / NAMES[1]).is_file():
        return None
    told = json.loads((at / NAMES[1]).read_text())
    answers, seconds = _answers(model, pl.read_parquet(at / NAMES[0]))
    recorded = np.asarray(told["answers"], dtype=float)
    if recorded.shape != answers.shape:
        return Golden(float("inf"), seconds, told["seconds"])
    scale = max(1.0, float(np.abs(recorded).max()))
    return Golden(float(np.abs(answers - recorded).max()) / scale, seconds, told["seconds"])


def _answers(model: Model, rows: pl.DataFrame) -> tuple[np.ndarray, float]:
    """The predictions; of free text the nats of the tokens of the reference answers, because of two words nearly
    as likely another processor may write the other one.
    """
    if model.contract.task == "text":
        answers = np.asarray(model.measure_references(Table(rows, model.contract.roles)))
    else:
        answers = np.asarray(model.predict(rows), dtype=float)
    took = list[float]()
    while len(took) < REPEATS and sum(took) < MOST_SECONDS:
        began = time.perf_counter()
        model.predict(rows)
        took.append(time.perf_counter() - began)
    return answers, min(took)
