"""Puts two models' predictions side by side for the judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from evermodel.core.comparing import DEFAULT_METRIC, compare
from evermodel.core.judgement import Comparison, PairedRows, PairedScores
from evermodel.core.model import Model
from evermodel.core.store import Event
from evermodel.core.table import Array, Table

STRETCHES = 50  # a series is resampled in that many consecutive stretches
SMALLEST_SLICE = 30  # rows; a smaller slice says nothing
MOST_SLICES = 40


def paired_rows(champion: Array, challenger: Array, model: Model, table: Table, *, series: bool) -> PairedRows:
    """The rows of ``table`` with both predictions, grouped by entity, or by stretches of a series."""
    return PairedRows(
        model.target(table), champion, challenger, groups=row_groups(table, series), slices=slice_masks(table)
    )


def row_groups(table: Table, series: bool) -> Array | None:
    """(n,) int: which rows hang together, and are resampled together."""
    if table.roles.entity is not None:
        return table.frame[table.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    if series and len(table) >= 4 * STRETCHES:
        return np.arange(len(table)) * STRETCHES // len(table)
    return None


def slice_masks(table: Table) -> dict[str, Array]:
    """ "column=value" -> (n,) bool for each slice column: its categories, or the quarters of a number."""
    masks: dict[str, Array] = {}
    for column in table.roles.slices:
        values = table.frame[column]
        if values.dtype.is_numeric() and values.n_unique() > 12:
            values = values.qcut(4, allow_duplicates=True).cast(pl.String)
        for value in values.drop_nulls().unique().sort().to_list()[:MOST_SLICES]:
            mask = (values == value).fill_null(False).to_numpy()
            if mask.sum() >= SMALLEST_SLICE:
                masks[f"{column}={value}"] = mask
    return masks


def earlier_comparisons(log: Sequence[Event], change: str) -> tuple[Comparison, ...]:
    """What former updates by the same change showed on their newest rows, newest first; evidence to pool."""
    told = [e.facts for e in reversed(log) if e.kind in ("promoted", "held", "rejected") and "evidence" in e.facts]
    return tuple(Comparison(**f["evidence"]) for f in told if f.get("change") == change)


def pair(
    champion: Model, challenger: Model, new: Table, past: Table | None, *, past_answers: Array | None = None,
    metric: str | None = None, earlier: tuple[Comparison, ...] = (), series: bool = True,
    trivial: Array | None = None, usual_skill: float | None = None, seed: int = 0,
) -> PairedScores:  # fmt: skip
    """Both models' predictions on the new rows and on rows known before, for the judge.

    ``past_answers``: the champion's on ``past``, where it is not to answer for itself.
    """
    task = challenger.contract.task
    rows = paired_rows(champion.predict(new.frame), challenger.predict(new.frame), challenger, new, series=series)
    before = None
    if past is not None and len(past):
        known = champion.predict(past.frame) if past_answers is None else past_answers
        before = paired_rows(known, challenger.predict(past.frame), challenger, past, series=False)
    return PairedScores(
        task, metric or DEFAULT_METRIC[task], rows, before, earlier, trivial=trivial, usual_skill=usual_skill, seed=seed
    )


def trivial_predictions(model: Model, known: Table, judged: Table) -> Array:
    """What the trivial baseline says for the judged rows: the class shares, or the mean, of the rows known before."""
    y = model.target(known)
    if model.contract.task == "regression":
        return np.full(len(judged), y.mean())
    share = np.bincount(y, minlength=len(model.contract.classes)) / len(y)
    return np.tile(share, (len(judged), 1))


def last_seen_predictions(model: Model, judged: Table) -> Array:
    """ "Same as last": for each judged row but the first, the label of the row before it."""
    y = model.target(judged)
    if model.contract.task == "regression":
        return y[:-1]
    return np.eye(len(model.contract.classes))[y[:-1]]


def shown_worse(one: Model, other: Model, rows: Table, *, metric: str | None = None, by: float = 0.0) -> bool:
    """Whether ``one`` is worse than ``other`` by more than ``by``, beyond doubt; few rows cannot show it."""
    answers = PairedRows(other.target(rows), other.predict(rows.frame), one.predict(rows.frame))
    c = compare(metric or DEFAULT_METRIC[other.contract.task], answers)
    return c.gain_high < 0 and c.gain < -by
