"""New rows looked at before anything is trained on them: what could not be an update is left out, or set aside."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evermodel.core.arrival import MORE, TELLS, first_of_copies, noisier, repeats, tells, turned
from evermodel.core.judgement import Reason, Verdict
from evermodel.core.judging import verdict_of
from evermodel.core.model import Model
from evermodel.core.table import Array, Table

MOST_COLUMNS = 300  # looked at; more would cost more than they tell
NEWEST = 20_000  # rows known before that a column is held against


def without_copies(new: Table, known: Table | None) -> tuple[Table, tuple[str, ...]]:
    """The rows with copies left out where they repeat far more than rows known before did; and that in words."""
    roles = new.roles
    but = (roles.time, roles.weight)
    natural = 0.0 if known is None else repeats(known.frame, but)
    first = first_of_copies(new.frame, natural, but)
    if first is None or first.sum() < 10:
        return new, ()
    left = int((~first).sum())
    return new.rows(first), (
        f"{left:,} of {len(new):,} rows are copies of others (natural here: {natural:.0%}); each was learnt from once",
    )


def suspicions(champion: Model, new: Table, judged: Array, known: Table | None) -> tuple[str, ...]:
    """Why these rows cannot be an update, in words: labels turned round, or the answer among the inputs."""
    y, p = champion.target(new), champion.predict(new.frame)
    usable = np.isfinite(y.astype(np.float64)) & (np.isfinite(p) if p.ndim == 1 else np.isfinite(p).all(axis=1))
    y, p, frame = y[usable], p[usable], new.frame.filter(usable)
    if p.ndim == 2 and len(y) and y.max() >= p.shape[1]:
        return ()
    names = [c.name for c in champion.contract.columns if c.kind not in ("image", "text")][:MOST_COLUMNS]
    found: list[str] = []
    if not len(new.frame.filter(~usable)):
        noise = noisier(y, p, ~judged)
        found += [noise] if noise else []
    found += [w for w in (turned(y, p, frame[n]) for n in names) if w][:3]
    return (*found, *_leaks(champion, frame, y, names, known)[:3])


def _leaks(champion: Model, frame: Any, y: Array, names: list[str], known: Table | None) -> list[str]:
    """Columns that tell the answer now and did not before."""
    if known is None or not len(known):
        return []
    classes = 0 if champion.contract.task == "regression" else len(champion.contract.classes)
    before = known.rows(np.arange(max(0, len(known) - NEWEST), len(known)))
    target, found = champion.target(before), []
    for name in names:
        now = tells(frame[name], y, classes)
        if now < TELLS:
            continue
        was = tells(before.frame[name], target, classes)
        if now - was > MORE:
            found.append(f"{name} alone tells {now:.0%} of the target now, {was:.0%} before, as if it held the answer")
    return found


def with_suspicions(verdict: Verdict, found: tuple[str, ...]) -> Verdict:
    """The verdict, invalid where the rows are suspect: a gain on them says nothing."""
    if not found:
        return verdict
    reasons = tuple(Reason("arrival", "invalid", f"Suspect: {w}. Look at the data.") for w in found)
    told = verdict_of((*reasons, *verdict.reasons))
    return dataclasses.replace(told, comparisons=verdict.comparisons)
