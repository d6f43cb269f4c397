"""What a monitor remembers: counts a look, rows that wait for labels, alarms. One blob, moved by compare-and-swap.

Frozen: a batch makes a new state. Two watchers at once lose nothing: the second starts again from the new state.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.cells import Cells
from evermodel.core.errors import Damaged, Moved
from evermodel.core.monitoring import Alarm, Measured, Window
from evermodel.core.reference import ColumnReference, Counted
from evermodel.core.store import Event, Move, Store

FORMAT = 1
TRIES = 20  # of putting a state in place while others do the same
ALIAS = "monitor"


@dataclass(frozen=True)
class Look:
    """The rows of one window and version. Counts add up; ``windows`` is what was measured of them last."""

    key: str  # sorts by time
    start: str
    end: str
    rows: int = 0
    labelled: int = 0
    errors: int = 0  # wrong answers among the labelled rows
    large: int = 0  # labelled rows whose loss is above what four fifths of the reference rows had
    columns: Mapping[str, Counted] = field(default_factory=dict)
    predicted: Mapping[str, int] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    confidence: tuple[float, ...] = ()  # sums over its labelled rows, as core/label_free.py keeps them
    by_kind: tuple[tuple[float, ...], ...] = ()  # of a regression: kind, labelled rows, their errors (3, …)

    def __add__(self, other: Look) -> Look:
        names = dict.fromkeys((*self.columns, *other.columns))
        columns = {n: added(self.columns.get(n), other.columns.get(n)) for n in names}
        predicted = {
            n: self.predicted.get(n, 0) + other.predicted.get(n, 0)
            for n in dict.fromkeys((*self.predicted, *other.predicted))
        }
        start, end = min(self.start, other.start, key=place), max(self.end, other.end, key=place)
        sums = {n: getattr(self, n) + getattr(other, n) for n in ("rows", "labelled", "errors", "large")}
        return Look(self.key, start, end, **sums, columns=columns, predicted=predicted, windows=self.windows,
                    confidence=self.confidence, by_kind=self.by_kind)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Predicted rows as a blob: id, look, prediction, label where known."""

    blob: str
    version: str
    looks: tuple[str, ...]
    rows: int
    labelled: int
    arrived: float  # Unix seconds


@dataclass(frozen=True)
class Tested:
    """Where the evidence about one subject stands. ``number``: how often it began; each time has a share of alpha."""

    begin: str = ""  # key of the first look that counts
    number: int = 1
    seen: int = 0  # looks already tested
    raised: tuple[float, ...] = ()  # counts that raised the open alarm
    opened: str = ""  # key of the look at which it opened


@dataclass(frozen=True)
class Watched:
    """One version under watch: its reference, its looks, the evidence about each subject."""

    version: str
    columns: Mapping[str, ColumnReference] = field(default_factory=dict)
    matters: Mapping[str, float] = field(default_factory=dict)  # column -> loss of score without it, in its noise
    loss_edge: float = float("nan")  # four fifths of the reference rows have a smaller loss
    related: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> those that move with it
    cells: Cells | None = None  # how rows are counted by all columns at once
    clumped: Mapping[str, float] = field(default_factory=dict)  # "quality" -> excess variance a row
    learnt: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # subject -> reference from its first looks
    learnt_until: Mapping[str, str] = field(default_factory=dict)  # subject -> key of the last of those looks
    looks: Mapping[str, Look] = field(default_factory=dict)
    tested: Mapping[str, Tested] = field(default_factory=dict)  # "drift:age" -> …
    evidence: Mapping[str, float] = field(default_factory=dict)  # log e-value now


@dataclass(frozen=True)
class State:
    """All of a monitor. ``counters`` only grow."""

    name: str
    task: str
    window: str = ""
    false_alarms: float = 0.01
    version: str = ""
    at: str = ""
    batches: Mapping[str, str] = field(default_factory=dict)  # digest -> "rows" | "labels"
    watched: Mapping[str, Watched] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    waiting: tuple[Mapping[str, Any], ...] = ()  # labels whose row has not come: blob, rows, waited
    alarms: tuple[Alarm, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)  # seconds (rounded up to a power of 2) -> labels
    latencies: tuple[tuple[float, int], ...] = ()  # seconds and rows of the newest batches
    baseline: Mapping[str, float] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # "rows", "labels" -> Unix seconds
    gone: tuple[str, ...] = ()  # inputs that the newest rows do not have
    notes: tuple[str, ...] = ()

    def counted(self, **more: int) -> State:
        """The same with counters grown by ``more``."""
        grown = {k: self.counters.get(k, 0) + n for k, n in more.items()}
        return dataclasses.replace(self, counters={**self.counters, **grown})


def added(a: Counted | None, b: Counted | None) -> Counted:
    if a is None or b is None:
        return a or b  # type: ignore[return-value]
    return a + b


def place(moment: str) -> tuple[int, str]:
    """Orders starts and ends: row numbers by size, moments as text."""
    return (len(moment), moment) if moment.isdigit() else (0, moment)


def read_state(store: Store, name: str) -> tuple[State | None, str | None]:
    """The state and the digest of its blob; (None, None) where nothing was watched yet."""
    for _ in range(TRIES):
        digest = store.at(name, ALIAS)
        if digest is None:
            return None, None
        try:
            return from_bytes(store.blob(digest).read_bytes()), digest
        except (Damaged, FileNotFoundError):
            if store.at(name, ALIAS) == digest:
                raise
    raise Moved(f"The monitor of {name} moved {TRIES} times while it was read.", "Run it again.")


def write_state(store: Store, name: str, change: Callable[[State | None], tuple[State, list[Event]]]) -> State:
    """Puts in place what ``change`` makes of the newest state; again from the start where somebody was first."""
    for _ in range(TRIES):
        old, digest = read_state(store, name)
        new, events = change(old)
        if new is old:
            return new
        staged = store.stage() / "monitor.json.gz"
        staged.write_bytes(to_bytes(new))
        kept = store.keep(staged)
        if kept == digest:
            return new
        try:
            store.point(name, [Move(ALIAS, kept, digest)], events)
        except Moved:
            continue
        if digest is not None:
            store.discard(digest)
        return new
    raise Moved(f"The monitor of {name} was moved by others {TRIES} times.", "Run it again; nothing was lost.")


def to_bytes(state: State) -> bytes:
    raw = {"format": FORMAT, **_plain(state)}
    return gzip.compress(json.dumps(raw, separators=(",", ":")).encode(), compresslevel=3, mtime=0)


def from_bytes(data: bytes) -> State:
    raw = json.loads(gzip.decompress(data))
    if raw.pop("format") != FORMAT:
        raise Damaged("The monitor's state was written by another release.", "Update evermodel.")
    raw["watched"] = {v: _watched(w) for v, w in raw["watched"].items()}
    raw["parts"] = tuple(Part(**{**p, "looks": tuple(p["looks"])}) for p in raw["parts"])
    raw["alarms"] = tuple(_alarm(a) for a in raw["alarms"])
    raw["latencies"] = tuple((float(s), int(n)) for s, n in raw["latencies"])
    raw["arrivals"] = {k: tuple(v) for k, v in raw.get("arrivals", {}).items()}
    raw |= {k: tuple(raw[k]) for k in ("waiting", "notes", "gone")}
    return State(**raw)


def _alarm(raw: dict[str, Any]) -> Alarm:
    """Those of before alarms had members: each was of one subject."""
    members = raw.get("members", [] if raw["evidence"] == float("inf") else [f"{raw['name']}:{raw['subject']}"])
    return Alarm(**{**raw, "members": tuple(members)})


def _watched(raw: dict[str, Any]) -> Watched:
    raw["columns"] = {n: ColumnReference.from_json(c) for n, c in raw["columns"].items()}
    raw["looks"] = {k: _look(x) for k, x in raw["looks"].items()}
    raw["tested"] = {k: Tested(**{**t, "raised": tuple(t["raised"])}) for k, t in raw["tested"].items()}
    raw["learnt"] = {k: tuple(v) for k, v in raw["learnt"].items()}
    raw["related"] = {k: tuple(v) for k, v in raw.get("related", {}).items()}
    return Watched(**{**raw, "cells": Cells.from_json(raw.get("cells"))})


def _look(raw: dict[str, Any]) -> Look:
    raw["columns"] = {n: Counted.from_json(c) for n, c in raw["columns"].items()}
    raw["windows"] = tuple(_window(w) for w in raw["windows"])
    raw["confidence"] = tuple(raw["confidence"])
    raw["by_kind"] = tuple(tuple(v) for v in raw.get("by_kind", ()))
    return Look(**raw)


def _window(raw: dict[str, Any]) -> Window:
    for kind in ("metrics", "estimates"):
        raw[kind] = {m: Measured(**v) for m, v in raw[kind].items()}
    return Window(**raw)


def _plain(value: Any) -> Any:
    if isinstance(value, (Counted, ColumnReference)):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
