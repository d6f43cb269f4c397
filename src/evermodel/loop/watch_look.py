"""Looks at the state after a delivery: measures the windows that got rows or labels, tests every subject."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.label_free import FEWEST, Sums, from_confidence, from_history
from evermodel.core.loss_free import Errors, estimated_error
from evermodel.core.monitoring import Alarm, Level, Measured
from evermodel.core.store import Event, Store
from evermodel.loop.home import event, now
from evermodel.loop.watch_certain import clock, settled
from evermodel.loop.watch_evidence import Subject, learn_baselines, subjects, test_subject
from evermodel.loop.watch_incidents import joined, over
from evermodel.loop.watch_intake import ALL_KINDS, rows_of_look
from evermodel.loop.watch_quality import confidence_sums, errors_by_kind, powered, windows_of
from evermodel.loop.watch_reference import PREDICTION
from evermodel.loop.watch_rows import KIND, Y
from evermodel.loop.watch_state import Look, State, Tested, Watched
from evermodel.loop.watch_words import cause_of, next_of

CLOSED_KEPT = 50
MATTERS = 0.05  # share of the most important column's weight below which drift wakes nobody
MATURE = 0.95  # share of the labels that have come by then, of the labels seen so far


def looked_at(
    store: Store, state: State, contract: Contract, touched: dict[str, set[str]]
) -> tuple[State, list[Event]]:
    """The state with the touched looks (version -> keys) measured, the alarms as they stand; and what happened."""
    state = dataclasses.replace(state, at=now())
    for version, keys in touched.items():
        watched = state.watched[version]
        looks = dict(watched.looks)
        for key in sorted(keys):
            looks[key] = _measured(store, state, contract, version, looks[key], looks)
        watched = dataclasses.replace(watched, looks=looks)
        state = dataclasses.replace(state, watched={**state.watched, version: watched})
    if state.version not in state.watched:
        return settled(state, [], clock())
    watched = state.watched[state.version]
    mature = {k for k, look in watched.looks.items() if is_mature(state, look)}
    ordered = [watched.looks[k] for k in sorted(watched.looks)]
    return _tested(state, learn_baselines(watched, ordered, mature, state.task), ordered, mature)


def is_mature(state: State, look: Look) -> bool:
    """Whether the labels of a look's rows had the usual time to come."""
    if not state.delays or look.labelled >= look.rows:
        return True
    usual = delay_quantile(state.delays, MATURE)
    arrived = max((p.arrived for p in state.parts if look.key in p.looks), default=0.0)
    return clock() - arrived >= usual


def delay_quantile(delays: Any, share: float) -> float:
    """Seconds within which ``share`` of the labels came; NaN where none has come."""
    total = sum(delays.values())
    running = 0
    for seconds, n in sorted((float(s), n) for s, n in delays.items()):
        running += n
        if running >= share * total:
            return seconds
    return math.nan


def _measured(
    store: Store, state: State, contract: Contract, version: str, look: Look, looks: Mapping[str, Look]
) -> Look:
    mature = is_mature(state, look)
    start = int(look.key[1:]) - (10**12 if look.key[0] == "t" else 0)
    rows = rows_of_look(store, state.parts, version, look.key, start)
    if not rows.height:
        return look
    windows = windows_of(rows, contract, version, look.start, look.end, look.rows, mature)
    sums = confidence_sums(rows, contract)
    found = powered(rows, contract) or (_estimated(sums, look.key, looks) if sums is not None else None)
    whole = dataclasses.replace(windows[0], predictions=dict(look.predicted))
    if found is not None:
        whole = dataclasses.replace(whole, estimates={"accuracy": found})
    missed = _error_estimated(rows, look.key, looks) if contract.task == "regression" else None
    if missed is not None:
        whole = dataclasses.replace(whole, estimates={"mae": missed})
    known, kinds = sums[1] if sums is not None else (), errors_by_kind(rows)
    return dataclasses.replace(look, windows=(whole, *windows[1:]), confidence=known, by_kind=kinds)


def _error_estimated(rows: pl.DataFrame, key: str, looks: Mapping[str, Look]) -> Measured | None:
    """Of rows that have no label, from the labelled rows of the looks before; None where all have one."""
    if KIND not in rows.columns or not rows[Y].null_count():
        return None
    kinds = rows.filter(pl.col(Y).is_null())[KIND].drop_nulls().to_numpy()
    told = [looks[k].by_kind for k in sorted(looks) if k < key and looks[k].by_kind]
    history = [Errors(*(_spread(h[0], h[i]) for i in (1, 2))) for h in told]
    found = estimated_error(kinds, history)
    return None if found is None else found[0]


def _spread(kinds: tuple[float, ...], values: tuple[float, ...]) -> tuple[float, ...]:
    whole = np.zeros(ALL_KINDS)
    whole[np.asarray(kinds, dtype=np.int64)] = values
    return tuple(whole.tolist())


def _estimated(sums: tuple[Sums, Sums], key: str, looks: Mapping[str, Look]) -> Measured | None:
    """By the look's own labels where there are enough of them, else by those of the looks before it."""
    everything, known = sums
    if known[0] >= everything[0]:
        return None  # nothing is left to estimate
    if known[0] >= FEWEST:
        own = from_confidence(everything, known, same_rows=True)
        if own is not None:
            return own
    told = from_history(everything, earlier(looks, key))
    return None if told is None else told[0]


def earlier(looks: Mapping[str, Look], key: str) -> list[Sums]:
    """The sums over labelled rows of the looks before ``key``, oldest first."""
    found = [looks[k].confidence for k in sorted(looks) if k < key]
    return [(c[0], c[1], c[2], c[3], c[4], c[5]) for c in found if c and c[0]]


def _tested(state: State, watched: Watched, looks: list[Look], mature: set[str]) -> tuple[State, list[Event]]:
    tested, evidence, alarms = dict(watched.tested), {}, state.alarms
    events: list[Event] = []
    ends = {k.key: k for k in looks}
    for subject in subjects(watched, looks, mature):
        was = tested.get(subject.key) or Tested(number=_begun(state, subject.key) + 1)
        place, found, opened, closed = test_subject(subject, was, state.false_alarms)
        tested[subject.key], evidence[subject.key] = place, found
        if opened is not None and not _idle(watched, subject):
            alarm = _alarm(state, watched, subject, found, ends[opened])
            alarms, own = joined(alarms, alarm, subject.key, watched)
            events += [event(state.name, "alarm", dataclasses.asdict(alarms[0]))] if own else []
        if closed is not None:
            alarms, done = over(alarms, tested, ends[closed].end)
            events += [event(state.name, "alarm closed", {"alarm": a.name, "subject": a.subject}) for a in done]
    opened_now = sum(e.kind == "alarm" for e in events)
    state, told = settled(dataclasses.replace(state, alarms=alarms), looks, clock())
    alarms, events = state.alarms, [*events, *told]
    kept = [a for a in alarms if not a.closed] + [a for a in alarms if a.closed][:CLOSED_KEPT]
    watched = dataclasses.replace(watched, tested=tested, evidence=evidence)
    state = dataclasses.replace(state, watched={**state.watched, state.version: watched}, alarms=tuple(kept))
    return state.counted(alarms=opened_now), events


def _begun(state: State, key: str) -> int:
    """How often a subject began under the versions watched so far: each beginning has a share of its own."""
    return max((w.tested[key].number for w in state.watched.values() if key in w.tested), default=0)


def _idle(watched: Watched, subject: Subject) -> bool:
    """A column that the model does not depend on is shown as drifted, and wakes nobody."""
    return subject.name == "drift" and watched.matters.get(subject.of, 1.0) < MATTERS


def _alarm(state: State, watched: Watched, subject: Subject, found: float, since: Look) -> Alarm:
    weight = 1.0 if subject.of == PREDICTION or subject.name == "quality" else watched.matters.get(subject.of, np.nan)
    level: Level = "critical" if subject.name == "quality" or weight >= 0.25 else "warning"
    value = math.exp(min(found, 700.0))
    return Alarm(
        subject.name, subject.of, level, since.start, value, cause_of(state, watched, subject), next_of(state, subject)
    )
