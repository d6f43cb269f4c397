"""Explains what a new version of a model does differently from an old one, where, and why."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.data.task import refuse_text
from evermodel.core.errors import AskedWrongly
from evermodel.core.model.model import Model
from evermodel.core.records.version_card import VersionCard
from evermodel.core.stats.metric import METRICS
from evermodel.core.store import Store
from evermodel.explaining.contributions import compute_contributions
from evermodel.explaining.explained_rows import read_explained_rows
from evermodel.explaining.explanation import ChangedRow, ColumnChange, Contributions, FlipCount, ScoreChange, Segment
from evermodel.explaining.explanation_wording import (
    describe_columns,
    describe_contributions,
    describe_flips,
    describe_score_change,
    describe_segments,
)
from evermodel.explaining.score_change import compare_columns, measure_losses, split_score_change
from evermodel.explaining.segments import find_segments
from evermodel.explaining.win_counts import count_flips
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.prediction import class_codes
from evermodel.registry.result_table import ResultTable
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory
from evermodel.registry.versions import load_version
from evermodel.updating.verdicts.pairing import group_rows

SHOWN = 8  # rows and columns in a table
MOST_ROWS = 200_000  # that are predicted; beyond, a sample


@dataclass(frozen=True)
class Explanation(Result):
    """What a new version does differently from an old one, on ``rows`` labelled rows from ``source``.

    ``calibration_old`` and ``calibration_new``: expected calibration errors; NaN for a regression.
    ``score_change`` is None where no earlier rows are remembered.
    """

    name: str
    old: str
    new: str
    task: str
    rows: int
    source: str
    flips: FlipCount
    calibration_old: float
    calibration_new: float
    segments: tuple[Segment, ...]
    contributions: Contributions
    score_change: ScoreChange | None
    columns_changed: tuple[ColumnChange, ...]
    changed_rows: tuple[ChangedRow, ...]
    notes: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        head = f"{self.name}: {self.new} against {self.old}, on {self.rows:,} rows ({self.source})"
        body = [
            describe_flips(self.flips, self.task),
            *describe_segments(self.segments),
            *describe_contributions(self.contributions),
            *describe_score_change(self.score_change),
            *describe_columns(self.columns_changed),
            *self.notes,
        ]
        return [head, *(f"  {line}" for line in body)]

    def tables(self) -> Sequence[ResultTable]:
        """Columns by contribution, segments, and the rows that changed most."""
        contributions = tuple((c.column, c.importance, c.mean, c.share) for c in self.contributions.columns[:SHOWN])
        segments = tuple((s.condition, s.rows, s.gain, s.low, s.high, s.elsewhere, s.p_value) for s in self.segments)
        rows = tuple((r.row, r.truth, r.old, r.new) for r in self.changed_rows)
        return (
            ResultTable(
                f"What moves the output ({self.contributions.unit})",
                ("column", "importance", "mean", "share"),
                contributions,
            ),
            ResultTable(
                "Where the loss changed",
                ("segment", "rows", "gain in loss", "low", "high", "elsewhere", "p value"),
                segments,
            ),
            ResultTable("Rows that changed most", ("row", "truth", self.old, self.new), rows),
        )

    def remarks(self) -> Sequence[str]:
        return (describe_flips(self.flips, self.task), *describe_score_change(self.score_change), *self.notes)


def explain(
    name: str,
    old: str | None = None,
    new: str | None = None,
    data: Any = None,
    *,
    seed: int = 0,
    registry: str | Path | None = None,
) -> Explanation:
    """Compare two versions of a model: wins, losses, segments, columns, and what the data did.

    ``new`` is the version in service unless told otherwise, ``old`` the one it was made from. ``data``: labelled rows;
    without them, those that were kept out of all training. Moves nothing and remembers nothing.
    Cost: both versions predict the rows, and at most 400,000 mixed rows each for the contributions.
    Raises NoData, NotFound, AskedWrongly.

        $ evermodel explain churn v1 v2 may.csv
    """
    began = time.monotonic()
    store = open_store(registry)
    first, second = _choose_versions(store, name, old, new)
    models = load_version(store, first), load_version(store, second)
    refuse_text(
        models[1].contract.task,
        "is not explained by columns and segments",
        "'evermodel predict --version' gives the answers of both versions.",
    )
    contract = models[1].contract.with_classes(read_memory(store, name).classes)
    before, after = (dataclasses.replace(m, contract=contract) for m in models)
    rows = read_explained_rows(store, name, after, data)
    now, notes = _thin(rows.rows, seed), list(rows.notes)
    if len(now) < len(rows.rows):
        notes.append(f"A random sample of {len(now):,} of {len(rows.rows):,} rows was used.")
    y, outputs = after.target(now), (before.predict(now.frame), after.predict(now.frame))
    gain = measure_losses(before, now) - measure_losses(after, now)
    inputs = now.frame.select([c.name for c in contract.columns])
    earlier, newest = None if rows.before is None else _thin(rows.before, seed), _thin(rows.newest, seed)
    background = inputs if earlier is None else earlier.frame
    contributions, _, _ = compute_contributions(before, after, inputs, background, seed)
    names = tuple(c.name for c in contract.columns)
    return Explanation(
        name,
        first.version,
        second.version,
        contract.task,
        len(now),
        rows.source,
        _count_flips(after, y, *outputs),
        _measure_calibration(contract.task, y, outputs[0]),
        _measure_calibration(contract.task, y, outputs[1]),
        find_segments(inputs, gain, group_rows(now, series=False), seed),
        contributions,
        None if earlier is None else split_score_change(before, after, earlier, newest),
        () if earlier is None else compare_columns(names, earlier.frame, newest.frame)[:SHOWN],
        _list_changed_rows(after, now, *outputs),
        tuple(notes),
        time.monotonic() - began,
    )


def _choose_versions(store: Store, name: str, old: str | None, new: str | None) -> tuple[VersionCard, VersionCard]:
    second = champion_of(store, name) if new is None else store.read_card(name, new)
    if old is None:
        if not second.parents:
            raise AskedWrongly(
                f"{second.version} of {name} was adopted: there is no older version to compare it with.",
                f"Name two versions, for example: evermodel explain {name} v1 v2",
            )
        old = second.parents[0]
    first = store.read_card(name, old)
    if first.version == second.version:
        raise AskedWrongly(f"A version cannot be compared with itself. Got {old} twice.", "Name two versions.")
    return first, second


def _thin(table: Table, seed: int) -> Table:
    if len(table) <= MOST_ROWS:
        return table
    return table.rows(np.sort(np.random.default_rng(seed).choice(len(table), MOST_ROWS, replace=False)))


def _count_flips(model: Model, y: Array, old: Array, new: Array) -> FlipCount:
    if model.contract.task == "regression":
        return count_flips(np.abs(old - y), np.abs(new - y))
    return count_flips(*((class_codes(model, p) != y).astype(np.float64) for p in (old, new)))


def _measure_calibration(task: str, y: Array, p: Array) -> float:
    if task == "regression":
        return float("nan")
    return float(METRICS.load("calibration_error")(y, p))


def _list_changed_rows(model: Model, table: Table, old: Array, new: Array) -> tuple[ChangedRow, ...]:
    """The rows whose output changed most: of probabilities, that of the class which changed most."""
    moved, column = np.abs(new - old), np.zeros(len(table), dtype=np.int64)
    if moved.ndim == 2:
        column = moved.argmax(axis=1)
        moved = moved.max(axis=1)
    changed = []
    for row in np.argsort(-moved, kind="stable")[:SHOWN]:
        pair = (old[row], new[row]) if old.ndim == 1 else (old[row, column[row]], new[row, column[row]])
        value = model.target(table)[row]
        truth = f"{value:.4g}" if old.ndim == 1 else str(model.contract.classes[int(value)])
        values = table.frame.row(int(row), named=True)
        inputs = {c.name: _show(values[c.name]) for c in model.contract.columns if c.kind != "image"}
        changed.append(ChangedRow(int(row), float(pair[0]), float(pair[1]), truth, inputs))
    return tuple(changed)


def _show(value: object) -> str:
    if value is None:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:60]
