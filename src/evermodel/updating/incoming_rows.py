"""Checks new rows before anything is trained on them: copies are left out, suspicious rows are quarantined."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.contracts.suspicious_rows import (
    MORE,
    TELLS,
    find_first_copies,
    find_noisier_labels,
    find_turned_column,
    measure_leak,
    measure_repeats,
)
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.records.verdict import Decision, Finding, Grade, JudgedRows, Reason, ReasonCode, Verdict
from evermodel.judging.judge import combine_reasons

MOST_COLUMNS = 300  # are checked; more would cost more time than they are worth
MOST_ROWS = 200_000  # are checked
NEWEST = 20_000  # rows known before that a column is compared with


def drop_copies(new: Table, known: Table | None) -> tuple[Table, tuple[str, ...]]:
    """The rows without copies, where they repeat far more than rows known before did; and a sentence that says so."""
    roles = new.roles
    but = (roles.time, roles.weight)
    natural = 0.0 if known is None else measure_repeats(known.frame, but)
    first = find_first_copies(new.frame, natural, but)
    if first is None or first.sum() < 10:
        return new, ()
    left = int((~first).sum())
    return new.rows(first), (
        f"{left:,} of {len(new):,} rows are copies of others (usual here: {natural:.0%}); each row is trained on once.",
    )


@dataclass(frozen=True)
class Suspicion:
    """Why rows cannot be an update, in words.

    ``of_learnt_rows``: the rows that judge are not concerned, so that they tell whether it is true: a challenger does
    not become better on sound rows by wrong labels, and does by rows of a kind that is new to the champion.
    """

    text: str
    of_learnt_rows: bool = False


def find_suspicions(champion: Model, new: Table, judged: Array, known: Table | None) -> tuple[Suspicion, ...]:
    """Why these rows cannot be an update, one each: labels reversed or noisier, an input that leaks the target.

    Nothing of free text: no test of these knows what a wrong answer looks like.
    """
    if champion.contract.task == "text":
        return ()
    if len(new) > MOST_ROWS:  # evenly over all of them
        chosen = np.linspace(0, len(new) - 1, MOST_ROWS).astype(np.int64)
        new, judged = new.rows(chosen), judged[chosen]
    y, p = champion.target(new), champion.predict(new.frame)
    usable = np.isfinite(y.astype(np.float64)) & (np.isfinite(p) if p.ndim == 1 else np.isfinite(p).all(axis=1))
    y, p, frame = y[usable], p[usable], new.frame.filter(usable)
    if p.ndim == 2 and len(y) and y.max() >= p.shape[1]:
        return ()
    names = [c.name for c in champion.contract.columns if c.kind not in ("image", "text")][:MOST_COLUMNS]
    problems: list[Suspicion] = []
    if not len(new.frame.filter(~usable)):
        noise = find_noisier_labels(y, p, ~judged)
        problems += [Suspicion(noise, of_learnt_rows=True)] if noise else []
    turned = [w for w in (find_turned_column(y, p, frame[n]) for n in names) if w][:3]
    return (*problems, *map(Suspicion, (*turned, *_find_leaks(champion, frame, y, names, known)[:3])))


def _find_leaks(champion: Model, frame: Any, y: Array, names: list[str], known: Table | None) -> list[str]:
    """Columns that predict the target by themselves now and did not before."""
    if known is None or not len(known):
        return []
    classes = 0 if champion.contract.task == "regression" else len(champion.contract.classes)
    before = known.rows(np.arange(max(0, len(known) - NEWEST), len(known)))
    target, leaks = champion.target(before), list[str]()
    if classes:  # with some classes alone a column tells more of them: the same classes are compared
        same = np.isin(target, np.unique(y))
        before, target = before.rows(same), target[same]
    for name in names:
        now = measure_leak(frame[name], y, classes)
        if now < TELLS:
            continue
        was = measure_leak(before.frame[name], target, classes)
        if now - was > MORE:
            leaks.append(f"{name} alone tells {now:.0%} of the target now, {was:.0%} before, as if it held the answer")
    return leaks


def apply_suspicions(verdict: Verdict, suspicions: tuple[Suspicion, ...]) -> Verdict:
    """The verdict, invalid where the rows are suspect: a gain on them says nothing.

    What is suspect in the learnt rows alone is passed, and told, where the challenger that learnt from them is better
    beyond doubt on the others.
    """
    if not suspicions:
        return verdict
    better = any(g.rows is JudgedRows.NEW and g.grade is Grade.BETTER for g in verdict.graded)
    reasons = []
    for suspicion in suspicions:
        refuted = suspicion.of_learnt_rows and better
        code = ReasonCode.SUSPICION_REFUTED if refuted else ReasonCode.ROWS_SUSPECT
        finding = Finding.PASS if refuted else Finding.INVALID
        reasons.append(Reason("arrival", finding, code, message=suspicion.text))
    both = combine_reasons((*reasons, *verdict.reasons))
    if both.decision is Decision.INVALID:
        return dataclasses.replace(both, comparisons=verdict.comparisons)
    return dataclasses.replace(verdict, reasons=both.reasons)
