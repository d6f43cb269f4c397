"""A version that was tried in service against the one that served, on labels as they come: it may be looked at always.

A shadow answered the same requests: rows are compared in pairs. A canary answered others, drawn by chance: each of its
labelled rows is compared with one of the other version whose label came about then, so that rows of the same time meet
whatever share of the requests the canary has. Either way an e-process decides (core/stats/paired_e_process.py): the
chance that it ever says "worse" of an equal version, however often it is asked, is at most 1 in 20. The loss of a free
text is 1 less the F1 that its words have beside those of its label.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.answer_texts import match_answers
from evermodel.core.data.contract import Contract
from evermodel.core.data.logged_predictions import (
    LABELLED_AT,
    PREDICTED_AT,
    PREDICTION,
    PREDICTION_ID,
    VERSION,
    list_label_files,
    list_row_files,
    scan_files,
)
from evermodel.core.data.row_cleaning import target_value
from evermodel.core.data.scan import collect
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import NotFound
from evermodel.core.stats.paired_e_process import compute_log_wealth, e_value, row_losses
from evermodel.core.store import Store
from evermodel.registry.predictions.seal_segments import read_open_segments
from evermodel.registry.row_memory import RowMemory

SHADOW = "shadow"  # the folder of a log in which a shadow's answers are
DECIDED = 20.0  # e-value
MARGIN = 0.02  # mean loss of a row, in [0, 1], by which a version may be worse and still count as no worse
Outcome = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class LoggedComparison:
    """``worse`` and ``better``: e-values of the trial; ``pairs``: labelled rows that were compared."""

    kind: Literal["shadow", "canary"]
    answered: int  # by the trial
    pairs: int
    loss: float  # mean of the trial's labelled rows, in [0, 1]
    champion_loss: float
    worse: float
    better: float
    no_worse: float = 1.0  # than by MARGIN

    @property
    def outcome(self) -> Outcome:
        """What is beyond doubt."""
        if self.worse >= DECIDED:
            return "worse"
        return "better" if self.better >= DECIDED else "undecided"


def compare_logged(
    folder: Path, contract: Contract, champion: str, version: str, scale: float, since: dt.datetime | None = None
) -> LoggedComparison:
    """The trial of ``version`` beside ``champion``, on what was answered from ``since`` on.

    Raises NotFound where the log holds no answers of it.
    """
    served = _read_answers(folder, contract, champion, since)
    shadow = _read_answers(folder / SHADOW, contract, version, since)
    trial = shadow if shadow.height else _read_answers(folder, contract, version, since)
    if not trial.height:
        raise NotFound(
            f"No answers of {version} are logged.", f"Try it: evermodel serve NAME --canary NAME={version}:5%"
        )
    labels = _read_labels(folder, contract)
    mine, theirs = (frame.join(labels, on=PREDICTION_ID, how="inner") for frame in (trial, served))
    if shadow.height:
        both = mine.join(theirs.select(PREDICTION_ID), on=PREDICTION_ID, how="semi")
        mine = both.sort(LABELLED_AT, PREDICTION_ID)
        theirs = theirs.join(mine.select(PREDICTION_ID), on=PREDICTION_ID, how="semi").sort(LABELLED_AT, PREDICTION_ID)
    else:
        mine, theirs = _pair_by_time(mine, theirs)
    pairs = min(mine.height, theirs.height)
    own, other = (_measure_losses(frame.head(pairs), contract, scale) for frame in (mine, theirs))
    worse, better = (e_value(compute_log_wealth(d)) if pairs else 1.0 for d in (own - other, other - own))
    no_worse = e_value(compute_log_wealth(other - own + MARGIN)) if pairs else 1.0
    means = [float(losses.mean()) if pairs else float("nan") for losses in (own, other)]
    kind: Literal["shadow", "canary"] = "shadow" if shadow.height else "canary"
    return LoggedComparison(kind, trial.height, pairs, means[0], means[1], worse, better, no_worse)


def _pair_by_time(mine: pl.DataFrame, theirs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of two versions that are compared, in pairs: each with the last free one of the other version before it.

    Pairs depend on the order alone, never on labels or answers, and further rows leave earlier pairs as they are.
    """
    if mine.height:  # what the other version answered before the trial began was drawn otherwise
        theirs = theirs.filter(pl.col(PREDICTED_AT) >= mine[PREDICTED_AT].min())
    both = pl.concat([mine.with_columns(__mine=True), theirs.with_columns(__mine=False)], how="diagonal_relaxed")
    both = both.sort(LABELLED_AT, PREDICTED_AT, PREDICTION_ID)
    free: list[int] = []  # rows, all of one version, that have no partner yet
    pairs: list[tuple[int, int]] = []
    is_mine = both["__mine"].to_list()
    for row, own in enumerate(is_mine):
        if free and is_mine[free[-1]] is not own:
            other = free.pop()
            pairs.append((row, other) if own else (other, row))
        else:
            free.append(row)
    at = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[at[:, 0]], both[at[:, 1]]


def measure_scale(store: Store, memory: RowMemory, contract: Contract) -> float:
    """The spread of a number to be predicted, on rows known before; 1 for classes."""
    target = contract.roles.target
    if contract.task != "regression" or target is None:
        return 1.0
    rows = memory.rows(store, contract)
    spread = None if rows is None else rows.frame[target].cast(pl.Float64).std()
    return float(spread) if isinstance(spread, (int, float)) and spread > 0 else 1.0


def _read_answers(folder: Path, contract: Contract, version: str, since: dt.datetime | None) -> pl.DataFrame:
    """Prediction id, time and answers of a version; those that a running server has not handed over yet too."""
    columns = [PREDICTION_ID, PREDICTED_AT, VERSION, *_name_outputs(contract)]
    opened = [rows.get(version) for rows in read_open_segments(folder)]
    files = [file for file in list_row_files(folder) if file.stem.rpartition("-")[2] == version]
    parts = [scan_files(files).select(columns)] if files else []
    parts += [frame.lazy().select(columns) for frame in opened if frame is not None]
    if not parts:
        return pl.DataFrame(schema={PREDICTION_ID: pl.String})
    both = pl.concat(parts, how="vertical_relaxed")  # sealed between two looks: once
    if since is not None:
        both = both.filter(pl.col(PREDICTED_AT) >= since)
    return collect(both.unique(PREDICTION_ID, keep="first", maintain_order=True))


def _read_labels(folder: Path, contract: Contract) -> pl.DataFrame:
    """Prediction id, the label that came last, and when the first one came: the order never changes afterwards."""
    files = list_label_files(folder)
    if not files:
        return pl.DataFrame(schema={PREDICTION_ID: pl.String, "__y": pl.Float64, LABELLED_AT: pl.Datetime("us", "UTC")})
    frame = scan_files(files)
    kind = pl.String if contract.task == "text" else pl.Float64
    y = target_value(contract, frame.collect_schema()).cast(kind).alias("__y")
    held = collect(frame.select(PREDICTION_ID, y, LABELLED_AT)).drop_nulls()
    return held.group_by(PREDICTION_ID, maintain_order=True).agg(pl.col("__y").last(), pl.col(LABELLED_AT).first())


def _name_outputs(contract: Contract) -> list[str]:
    return [f"p_{class_text(c)}" for c in contract.classes] or [PREDICTION]


def _measure_losses(rows: pl.DataFrame, contract: Contract, scale: float) -> Array:
    """(n,) loss of each row in [0, 1]."""
    if not rows.height:
        return np.zeros(0)
    if contract.task == "text":
        return np.asarray(1.0 - match_answers(rows[PREDICTION].to_list(), rows["__y"].to_list())[:, 1])
    p = rows.select(_name_outputs(contract)).to_numpy()
    return row_losses(rows["__y"].to_numpy(), p[:, 0] if contract.task == "regression" else p, scale)
