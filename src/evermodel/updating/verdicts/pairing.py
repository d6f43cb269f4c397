"""Puts two models' predictions side by side for the judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.records.event import Decided, Event, EventKind
from evermodel.core.records.verdict import Comparison
from evermodel.core.store import Store
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput, OtherAnswer, PairedPredictions
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.registry.evidence import deciding_comparison

STRETCHES = 50  # a series is resampled in that many consecutive stretches
SMALLEST_SLICE = 30  # rows; a smaller slice says nothing
MOST_SLICES = 40
EVIDENT = (EventKind.PROMOTED, EventKind.HELD, EventKind.REJECTED)  # decisions whose comparisons are pooled


def pair_predictions(
    champion: Array, challenger: Array, model: Model, table: Table, *, series: bool
) -> PairedPredictions:
    """The rows of ``table`` with both predictions, grouped by entity, or by stretches of a series."""
    return PairedPredictions(
        model.target(table), champion, challenger, groups=group_rows(table, series), slices=mask_slices(table)
    )


def pair_other_answers(champion: Model, challenger: Model, rows: Table, *, series: bool) -> dict[str, OtherAnswer]:
    """Both models' answers besides the judged one, by target column; but those that the signature leaves unguarded."""
    before, after = champion.predict_others(rows.frame), challenger.predict_others(rows.frame)
    groups, found = group_rows(rows, series), {}
    for output in champion.contract.outputs:
        if not output.primary and output.guard:
            y = rows.frame[output.target].to_numpy().astype(np.float64 if output.task == "regression" else np.int64)
            pairs = PairedPredictions(y, before[output.target], after[output.target], groups)
            found[output.target] = OtherAnswer(output.task, pairs)
    return found


def group_rows(table: Table, series: bool) -> Array | None:
    """(n,) int: which rows hang together, and are resampled together."""
    if table.roles.entity is not None:
        return table.frame[table.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    if series and len(table) >= 4 * STRETCHES:
        return np.arange(len(table)) * STRETCHES // len(table)
    return None


def mask_slices(table: Table) -> dict[str, Array]:
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


def list_earlier_comparisons(store: Store, log: Sequence[Event], strategy: str) -> tuple[Comparison, ...]:
    """What former updates by the same strategy showed on their newest rows, newest first; evidence to pool."""
    found = []
    for event in reversed(log):
        data = event.data
        if event.kind not in EVIDENT or not isinstance(data, Decided) or data.strategy != strategy:
            continue
        comparison = deciding_comparison(store, event, primary=True)
        if comparison is not None:
            found.append(comparison)
    return tuple(found)


def build_judge_input(
    champion: Model,
    challenger: Model,
    new: Table,
    past: Table | None,
    *,
    past_answers: Array | None = None,
    metric: str,
    guard: str | None = None,
    in_sample: Table | None = None,
    earlier: tuple[Comparison, ...] = (),
    series: bool = True,
    trivial: Array | None = None,
    usual_skill: float | None = None,
    seed: int = 0,
) -> JudgeInput:
    """Both models' predictions on the new rows and on rows known before, for the judge.

    ``past_answers``: the champion's on ``past``, where it is not to answer for itself. ``in_sample``: rows that the
    champion was trained on, which are shown and judge nothing.
    """
    task = challenger.contract.task
    rows = pair_predictions(champion.answer_rows(new), challenger.answer_rows(new), challenger, new, series=series)
    before = None
    if past is not None and len(past):
        known = champion.answer_rows(past) if past_answers is None else past_answers
        before = pair_predictions(known, challenger.answer_rows(past), challenger, past, series=False)
    learnt = None
    if in_sample is not None and len(in_sample):
        answers = champion.answer_rows(in_sample), challenger.answer_rows(in_sample)
        learnt = pair_predictions(*answers, challenger, in_sample, series=False)
    return JudgeInput(
        task,
        metric,
        rows,
        before,
        earlier,
        other_answers=pair_other_answers(champion, challenger, new, series=series) if champion.contract.outputs else {},
        guard=guard,
        in_time=series,
        in_sample=learnt,
        trivial_predictions=trivial,
        usual_skill=usual_skill,
        seed=seed,
    )


def predict_trivially(model: Model, known: Table, judged: Table) -> Array | None:
    """What the trivial baseline says for the judged rows: the class shares, or the mean, of the rows known before.

    None for free text, which has none.
    """
    if model.contract.task == "text":
        return None
    y = model.target(known)
    if model.contract.task == "regression":
        return np.full(len(judged), y.mean())
    share = np.bincount(y, minlength=len(model.contract.classes)) / len(y)
    return np.tile(share, (len(judged), 1))


def predict_last_seen(model: Model, judged: Table) -> Array:
    """ "Same as last": for each judged row but the first, the label of the row before it."""
    y = model.target(judged)
    if model.contract.task == "regression":
        return y[:-1]
    return np.eye(len(model.contract.classes))[y[:-1]]


def is_shown_worse(one: Model, other: Model, rows: Table, *, metric: str | None = None, by: float = 0.0) -> bool:
    """Whether ``one`` is worse than ``other`` by more than ``by``, beyond doubt; few rows cannot show it."""
    answers = PairedPredictions(other.target(rows), other.answer_rows(rows), one.answer_rows(rows))
    c = compare_predictions(metric or DEFAULT_METRIC[other.contract.task], answers)
    return c.gain_high < 0 and c.gain < -by
