"""Watch a version in service: how good it is, what changed in the rows, and alarms that keep their promise."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from evermodel.core.digests import digest_frame
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.files import digest_file
from evermodel.core.model import Model
from evermodel.core.monitoring import Monitored
from evermodel.core.reading import as_path, check_file, collect, scan
from evermodel.core.store import Card, Event, Store
from evermodel.loop.home import card_of, champion_of, checked_name, now, open_home
from evermodel.loop.versions import load_version
from evermodel.loop.watch_certain import SILENT, arrived, as_read, clock, in_service, settled
from evermodel.loop.watch_intake import take_rows
from evermodel.loop.watch_labels import read_labels, take_labels, take_waiting
from evermodel.loop.watch_look import looked_at
from evermodel.loop.watch_reference import watched_version
from evermodel.loop.watch_result import Watching, monitored
from evermodel.loop.watch_rows import DEFAULT_ROWS, Cut, look_into, parsed_window
from evermodel.loop.watch_state import State, read_state, write_state
from evermodel.loop.watch_suggest import asked_number, suggested

LEAST, MOST = 1e-6, 0.2  # of the false-alarm rate


def watch(
    name: str, data: Any = None, *, labels: Any = None, window: str | None = None, version: str | None = None,
    id: str | None = None,  # noqa: A002
    false_alarms: float | None = None, second: str | None = None,
    suggest: int | None = None, to: str | Path | None = None,
    home: str | Path | None = None,
) -> Watching:  # fmt: skip
    """Take in rows in service (and labels that came late), and say how good the model is and what changed.

    ``data``: rows, with a column ``prediction`` (and ``p_CLASS``) or to be predicted; ``labels``: rows with the target,
    joined by an id column, or entity and time. A delivery taken in before changes nothing. Over the monitor's whole
    life a false alarm has the chance ``false_alarms`` at most. ``second``: a version whose answers make intervals of
    few labels narrower. ``suggest`` writes so many rows, whose labels would tell most, into the file ``to``; their labels
    are weighted back. Raises BadData, NotFound; then nothing is changed.

        $ evermodel watch churn march.parquet --labels answers.csv
    """
    asked_for = asked_number(suggest, to) if suggest is not None else None
    if data is None and labels is None and suggest is None:
        raise AskedWrongly("There is nothing to watch.", "Give rows, or --labels FILE.")
    if false_alarms is not None and not LEAST <= false_alarms <= MOST:
        raise BadSetting(f"--false-alarms must be in [{LEAST}, {MOST}]. Got {false_alarms}.")
    store = open_home(home)
    card = card_of(store, checked_name(name), version)
    model = load_version(store, card)
    asked = Asking(store, card, model, window, id, false_alarms, _second(store, name, second, model))
    before = read_state(store, name)[0]
    for source in _sources(data):
        write_state(store, name, partial(_with_rows, asked, source))
    if labels is not None:
        for source in _sources(labels):
            write_state(store, name, partial(_with_labels, asked, source))
    if suggest is not None and asked_for is not None:
        write_state(store, name, partial(suggested, store, model.contract, suggest, asked_for))
    state = read_state(store, name)[0]
    shown = monitored(state) if state is not None else Monitored(name, card.version, model.contract.task, now())
    return Watching(shown, _opened(monitored(before) if before else None, shown))


@dataclass(frozen=True)
class Asking:
    """What one call of ``watch`` goes by."""

    store: Store
    card: Card
    model: Model
    window: str | None
    id: str | None
    false_alarms: float | None
    second: Model | None = None

    def begun(self, state: State | None, source: Any) -> State:
        """The state with this version under watch. The open alarms of another version are closed with it."""
        state = state or State(self.card.name, self.model.contract.task)
        if self.window is not None or not state.window:
            state = _cut(state, self.window, source, self.model, self.id)
        if self.false_alarms is not None:
            state = dataclasses.replace(state, false_alarms=self.false_alarms)
        if self.card.version != state.version and state.version:
            closed = tuple(a if a.closed else dataclasses.replace(a, closed=now()) for a in state.alarms)
            state = dataclasses.replace(state, alarms=closed)
        state = dataclasses.replace(state, version=self.card.version)
        if self.card.version in state.watched:
            return state
        fresh = watched_version(self.store, self.card, self.model)
        watched = {**state.watched, self.card.version: fresh}
        return dataclasses.replace(state, watched=watched, baseline=_baseline(self.card))


def status(name: str, *, home: str | Path | None = None) -> Monitored:
    """The monitor's whole state as others read it; empty where nothing was watched yet. Raises NotFound.

    $ evermodel watch churn march.parquet --json
    """
    store = open_home(home)
    card = champion_of(store, name)
    state = read_state(store, name)[0]
    if state is None:
        return Monitored(name, card.version, "", now(), notes=("nothing was watched yet",))
    return monitored(as_read(state, clock()))


def _second(store: Store, name: str, version: str | None, model: Model) -> Model | None:
    """Another version of the same inputs and classes. Raises AskedWrongly where it cannot tell of these rows."""
    if version is None:
        return None
    found = load_version(store, card_of(store, name, version))
    unlike = found.contract.names != model.contract.names or found.contract.task != model.contract.task
    if unlike or model.contract.task == "regression":
        raise AskedWrongly(f"{version} cannot be the second model: it needs the same inputs, and classes to foretell.")
    return found


def _sources(data: Any) -> list[Any]:
    """The deliveries: each file of a folder is one."""
    path = as_path(data) if data is not None else None
    if data is None:
        return []
    if path is None:
        return [data]
    check_file(path)
    if path.is_dir():
        return [p for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith((".", "_"))]
    return [path]


def _with_rows(asked: Asking, source: Any, old: State | None) -> tuple[State, list[Event]]:
    digest = _digest(source)
    if old is not None and digest in old.batches:
        return old.counted(duplicates=1), []
    store, contract = asked.store, asked.model.contract
    state = asked.begun(old, source)
    cut = parsed_window(state.window)
    state, touched = take_rows(store, state, asked.model, source, cut, asked.id, asked.second)
    state, more = take_waiting(store, state, contract, cut)
    state = dataclasses.replace(state, batches={**state.batches, digest: "rows"})
    more.setdefault(state.version, set()).update(touched)
    return _came(asked, old, state, more, "rows")


def _came(
    asked: Asking, old: State | None, state: State, touched: dict[str, set[str]], what: str
) -> tuple[State, list[Event]]:
    """The state looked at. A silence that this delivery ends was an alarm until now, seen or not."""
    at = clock()
    state, ended = settled(state, in_service(state), at, SILENT)
    state = arrived(state, what, at)
    if what == "rows" and state.counters.get("labels", 0) > (old.counters.get("labels", 0) if old else 0):
        state = arrived(state, "labels", at)
    state, more = looked_at(asked.store, state, asked.model.contract, touched)
    return state, [*ended, *more]


def _with_labels(asked: Asking, source: Any, old: State | None) -> tuple[State, list[Event]]:
    digest = "labels:" + _digest(source)
    if old is not None and digest in old.batches:
        return old.counted(duplicates=1), []
    state = old or State(asked.card.name, asked.model.contract.task)
    labels, repeated = read_labels(source, asked.model.contract, asked.id)
    cut = parsed_window(state.window or f"{DEFAULT_ROWS}rows")
    state, touched = take_labels(asked.store, state, asked.model.contract, labels, repeated, cut)
    state = dataclasses.replace(state, batches={**state.batches, digest: "labels"})
    return _came(asked, old, state, touched, "labels")


def _cut(state: State, window: str | None, source: Any, model: Model, id_: str | None) -> State:
    """The window, chosen once: a day where rows have a date, else a thousand rows."""
    dated = look_into(scan(source), model.contract, id_).dated
    cut = parsed_window(window) if window else Cut(seconds=86_400) if dated else Cut(rows=DEFAULT_ROWS)
    if cut.seconds and not dated:
        raise BadSetting(
            f"--window {window} needs rows with a date: a time column named at adoption.", "Give --window 1000rows."
        )
    if state.window and str(cut) != state.window:
        raise BadSetting(f"{state.name} is watched by windows of {state.window}. Got {cut}.", "Leave --window out.")
    return dataclasses.replace(state, window=str(cut))


def _baseline(card: Card) -> dict[str, float]:
    """What the version scored when it was adopted or promoted."""
    told = card.scores.get("new") or card.scores.get("reference") or {}
    values = {m: v["challenger"] if isinstance(v, dict) else v for m, v in told.items()}
    return {m: float(v) for m, v in values.items() if v is not None and math.isfinite(v)}


def _digest(source: Any) -> str:
    if isinstance(source, Path):
        return digest_file(source)
    return digest_frame(collect(scan(source)))


def _opened(before: Monitored | None, after: Monitored) -> int:
    return after.counters.get("alarms", 0) - (before.counters.get("alarms", 0) if before else 0)
