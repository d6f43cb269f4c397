"""Two monitors' states become one, as if one monitor had seen all rows; old looks become fewer."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import AskedWrongly
from evermodel.core.store import Event, Store
from evermodel.loop.watch_state import Look, Part, State, Tested, Watched

MOST_LOOKS = 600  # a version; of more, the oldest are put together in pairs
NEWEST = 300  # looks that stay as they are: windows are shown, and labels still come


def merged(ours: State, theirs: State) -> State:
    """The state of a monitor that had seen the rows of both. Counts add up, in either order.

    Where the evidence stood is asked anew of all looks together; alarms stay those of ``ours`` until that is done.
    Raises AskedWrongly for monitors of different models, windows or references, and where both saw one delivery.
    """
    _check(ours, theirs)
    first = ours if ours.version in theirs.watched or theirs.version not in ours.watched else theirs
    watched = dict(ours.watched)
    for version, other in theirs.watched.items():
        watched[version] = _watched(watched[version], other) if version in watched else other
    counters = {k: ours.counters.get(k, 0) + theirs.counters.get(k, 0) for k in {**ours.counters, **theirs.counters}}
    delays = {k: ours.delays.get(k, 0) + theirs.delays.get(k, 0) for k in {**ours.delays, **theirs.delays}}
    both = {**theirs.gauges, **ours.gauges}
    gauges = {k: max(v, ours.gauges.get(k, v), theirs.gauges.get(k, v)) for k, v in both.items()}
    arrivals = {k: tuple(sorted((*ours.arrivals.get(k, ()), *theirs.arrivals.get(k, ()))))[-50:]
                for k in {**ours.arrivals, **theirs.arrivals}}  # fmt: skip
    parts = tuple(sorted((*ours.parts, *theirs.parts), key=lambda p: (p.arrived, p.blob)))
    return dataclasses.replace(
        ours, version=first.version, batches={**ours.batches, **theirs.batches}, watched=watched, parts=parts,
        waiting=(*ours.waiting, *theirs.waiting), counters=counters, gauges=gauges, delays=delays, arrivals=arrivals,
        latencies=(*ours.latencies, *theirs.latencies)[-200:],
    )  # fmt: skip


def _check(ours: State, theirs: State) -> None:
    unlike = [f for f in ("name", "task", "window") if getattr(ours, f) != getattr(theirs, f)]
    if unlike:
        told = "; ".join(f"{f} {getattr(ours, f)!r} and {getattr(theirs, f)!r}" for f in unlike)
        raise AskedWrongly(f"These monitors do not add up: {told}.")
    if ours.window.endswith("rows"):
        raise AskedWrongly(
            "Windows of rows are numbered by each monitor for itself, and do not add up.", "Watch by time: --window 1d."
        )
    both = set(ours.batches) & set(theirs.batches)
    if both:
        raise AskedWrongly(f"Both monitors saw {len(both)} of the same deliveries: their rows would count twice.")
    for version in set(ours.watched) & set(theirs.watched):
        if ours.watched[version].columns != theirs.watched[version].columns:
            raise AskedWrongly(f"The monitors hold {version} against different reference rows: counts do not add up.")


def _watched(ours: Watched, theirs: Watched) -> Watched:
    looks = dict(ours.looks)
    for key, look in theirs.looks.items():
        looks[key] = looks[key] + look if key in looks else look
    learnt = {k: v for k, v in ours.learnt.items() if k not in ours.learnt_until}  # the rest is learnt from all looks
    begun = {k: Tested(number=max(w.tested[k].number for w in (ours, theirs) if k in w.tested),
                       opened=ours.tested[k].opened if k in ours.tested else "",
                       raised=ours.tested[k].raised if k in ours.tested else ())
             for k in {**ours.tested, **theirs.tested}}  # fmt: skip
    return dataclasses.replace(ours, looks=dict(sorted(looks.items())), learnt=learnt, learnt_until={}, tested=begun)


def taken_over(store: Store, other: Store, theirs: State, ours: State | None) -> tuple[State, list[Event]]:
    """The merged state, with the other home's rows brought into this one."""
    for digest in [p.blob for p in theirs.parts] + [str(w["blob"]) for w in theirs.waiting]:
        staged = store.stage() / "part.parquet"
        shutil.copyfile(other.blob(digest), staged)
        store.keep(staged)
    return (theirs if ours is None else merged(ours, theirs)), []


def compacted(watched: Watched) -> Watched:
    """The same with the oldest looks put together in pairs once there are too many: the state stays bounded.

    A change may then have begun with every second of those looks only; nothing else is lost of the evidence.
    """
    keys = sorted(watched.looks)
    if len(keys) <= MOST_LOOKS:
        return watched
    looks: dict[str, Look] = {}
    old, i = keys[: len(keys) - NEWEST], 0
    while i < len(old):
        pair = [watched.looks[k] for k in old[i : i + 2]]
        looks[old[i]] = pair[0] if len(pair) == 1 else _both(*pair)
        i += 2
    return dataclasses.replace(watched, looks={**looks, **{k: watched.looks[k] for k in keys[len(keys) - NEWEST :]}})


def _both(a: Look, b: Look) -> Look:
    sums = [c for c in (a.confidence, b.confidence) if c]
    told = tuple(float(sum(v)) for v in zip(*sums, strict=True))
    return dataclasses.replace(a + b, windows=(), confidence=told, by_kind=(), spans=a.spans + b.spans)


def holder(looks: Mapping[str, Any], key: str) -> str:
    """The look that holds what once was in the look ``key``."""
    return key if key in looks else max((k for k in looks if k < key), default=key)


def all_looks(state: State) -> dict[str, set[str]]:
    """version -> keys of its looks that have kept rows: what is to be measured anew after a merge."""
    touched: dict[str, set[str]] = {}
    part: Part
    for part in state.parts:
        touched.setdefault(part.version, set()).update(k for k in part.looks if k in state.watched[part.version].looks)
    return touched
