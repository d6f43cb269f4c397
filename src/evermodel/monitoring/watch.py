"""Watches a version in service: its quality, changes in the rows, and alarms with a bound on false ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from evermodel.core.clock import current_seconds
from evermodel.core.data.frame_digest import digest_frame
from evermodel.core.data.scan import as_path, check_file, collect, scan
from evermodel.core.data.source import DELTA_LOG
from evermodel.core.data.task import refuse_text
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.files import digest_file, digest_source
from evermodel.core.model.model import Model
from evermodel.core.records.event import Event
from evermodel.core.records.job import Job
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.monitoring.alarms.certain_alarms import (
    SILENT,
    add_silence_alarms,
    list_served_windows,
    note_arrival,
    update_certain_alarms,
)
from evermodel.monitoring.label_suggestions import check_request, suggest_labels
from evermodel.monitoring.late_labels import join_waiting_labels, read_labels, take_labels
from evermodel.monitoring.merge import list_stored_windows, take_over_state
from evermodel.monitoring.monitor_state import MonitorState, read_state, write_state
from evermodel.monitoring.reference import build_version_monitor
from evermodel.monitoring.row_intake import take_rows
from evermodel.monitoring.summary import WatchResult, summarize_state
from evermodel.monitoring.watched_rows import DEFAULT_ROWS, WindowSize, inspect_rows, parse_window
from evermodel.monitoring.windows import update_windows
from evermodel.registry.lookup import card_of, champion_of, check_name, now, open_store
from evermodel.registry.predictions.logged_files import LoggedFile, list_logged_files
from evermodel.registry.versions import load_version

UNWATCHED = (
    "has no probabilities by which rows could be chosen or intervals narrowed",
    "Give reference answers as labels: 'evermodel watch NAME --labels FILE'.",
)
LEAST, MOST = 1e-6, 0.2  # of the false-alarm rate


def watch(
    name: str,
    data: Any = None,
    *,
    labels: Any = None,
    window: str | None = None,
    version: str | None = None,
    id: str | None = None,  # noqa: A002
    false_alarms: float | None = None,
    second: str | None = None,
    suggest: int | None = None,
    to: str | Path | None = None,
    merge: str | Path | None = None,
    registry: str | Path | None = None,
) -> WatchResult:
    """Take in rows in service (and labels that came late), and say how good the model is and what changed.

    Without rows and labels, those that ``evermodel serve`` logged since, each for the version that answered it.
    ``data``: rows, with a column ``prediction`` (and ``p_CLASS``) or to be predicted; ``labels``: rows with the target,
    joined by an id column, or entity and time. A delivery taken in before changes nothing. Over the monitor's life a
    false alarm has the chance ``false_alarms`` at most. ``second``: a version whose answers narrow intervals of few
    labels. ``suggest`` writes so many rows to be labelled into the file ``to``. ``merge``: another registry whose
    monitor of this model is added to this one. Raises BadData, NotFound; then nothing is changed.

        $ evermodel watch churn march.parquet --labels answers.csv
    """
    asked_for = check_request(suggest, to) if suggest is not None else None
    if false_alarms is not None and not LEAST <= false_alarms <= MOST:
        raise BadSetting(f"`false_alarms` must be in [{LEAST}, {MOST}]. Got {false_alarms}.")
    store = open_store(registry)
    card = card_of(store, check_name(name), version)
    from_log = data is None and labels is None and suggest is None and merge is None
    files = list_logged_files(store, name, version) if from_log else []
    model = load_version(store, card)
    if suggest is not None or second is not None:
        refuse_text(model.contract.task, *UNWATCHED)
    request = WatchRequest(store, card, model, window, id, false_alarms, _load_second(store, name, second, model))
    before = state = read_state(store, name)[0]
    if merge is not None:
        state = write_state(store, name, partial(_merge_other, request, _open_other(merge, name)))
    state = _take_log(request, files, state) if from_log else _take(request, data, labels, None, state)
    if suggest is not None and asked_for is not None:
        state = write_state(store, name, partial(suggest_labels, store, model.contract, suggest, asked_for))
    return _result(request, before, state)


def take_deliveries(
    store: Store, name: str, data: Any, *, labels: Any, id_column: str | None, fence: Job
) -> WatchResult:
    """The rows or labels that a maintenance job found. Raises LeaseLost once another worker has taken ``fence``."""
    card = champion_of(store, name)
    model = load_version(store, card)
    request = WatchRequest(store, card, model, None, id_column, None)
    before = read_state(store, name)[0]
    return _result(request, before, _take(request, data, labels, fence, before))


def _take_log(request: WatchRequest, files: list[LoggedFile], state: MonitorState | None) -> MonitorState | None:
    """What a server logged since it was watched last: the rows for the version that answered them, then labels."""
    store, name = request.store, request.card.name
    taken = state.batches if state is not None else {}
    for file in files:
        if file.version and _digest_source(file.path) in taken:
            continue
        if file.version and file.version != request.card.version:
            card = store.read_card(name, file.version)
            request = dataclasses.replace(request, card=card, model=load_version(store, card))
        of_rows = bool(file.version)
        state = _take(request, file.path if of_rows else None, None if of_rows else file.path, None, state)
    return state


def _take(
    request: WatchRequest, data: Any, labels: Any, fence: Job | None, state: MonitorState | None
) -> MonitorState | None:
    """The state after all deliveries; ``state`` where there is none."""
    for source in _list_sources(data):
        state = write_state(request.store, request.card.name, partial(_add_rows, request, source), fence)
    for source in _list_sources(labels) if labels is not None else ():
        state = write_state(request.store, request.card.name, partial(_add_labels, request, source), fence)
    return state


def _result(request: WatchRequest, before: MonitorState | None, state: MonitorState | None) -> WatchResult:
    """What the monitor says with ``state``, and how many alarms were opened since ``before``."""
    name = request.card.name
    unwatched = MonitorStatus(name, request.card.version, request.model.contract.task, now())
    opened, earlier = (0 if s is None else s.counters.get("alarms", 0) for s in (state, before))
    return WatchResult(summarize_state(state) if state is not None else unwatched, opened - earlier)


@dataclass(frozen=True)
class WatchRequest:
    """What one call of ``watch`` was asked to do."""

    store: Store
    card: VersionCard
    model: Model
    window: str | None
    id: str | None
    false_alarms: float | None
    second: Model | None = None

    def begin_state(self, state: MonitorState | None, source: Any) -> MonitorState:
        """The state with this version watched. The open alarms of another version are closed."""
        state = state or MonitorState(self.card.name, self.model.contract.task)
        if self.window is not None or not state.window:
            state = _choose_window(state, self.window, source, self.model, self.id)
        if self.false_alarms is not None:
            state = dataclasses.replace(state, false_alarms=self.false_alarms)
        if self.card.version != state.version and state.version:
            closed = tuple(a if a.closed else dataclasses.replace(a, closed=now()) for a in state.alarms)
            state = dataclasses.replace(state, alarms=closed)
        state = dataclasses.replace(state, version=self.card.version)
        if self.card.version in state.watched:
            return state
        fresh = build_version_monitor(self.store, self.card, self.model)
        watched = {**state.watched, self.card.version: fresh}
        return dataclasses.replace(state, watched=watched, baseline=dict(self.card.known_scores))


def status(name: str, *, registry: str | Path | None = None) -> MonitorStatus:
    """The monitor's whole state as others read it; empty where nothing was watched yet. Raises NotFound.

    $ evermodel watch churn march.parquet --json
    """
    return read_status(open_store(registry), name)


def read_status(store: Store, name: str) -> MonitorStatus:
    """``status`` of a registry that is open."""
    card = champion_of(store, name)
    state = read_state(store, name)[0]
    if state is None:
        return MonitorStatus(name, card.version, "", now(), notes=("Nothing was watched yet.",))
    return summarize_state(add_silence_alarms(state, current_seconds()))


def _open_other(registry: str | Path, name: str) -> tuple[Store, MonitorState]:
    """Another registry's monitor. Raises NotFound where it has none of this model."""
    if not Path(registry).is_dir():
        raise NotFound(
            f"There is no registry {registry}.", "Give the folder of the registry that holds the other monitor."
        )
    store = open_store(registry)
    state = read_state(store, name)[0]
    if state is None:
        raise NotFound(f"{name} was never watched in {registry}.", "Give the registry of the other monitor.")
    return store, state


def _merge_other(
    request: WatchRequest, other: tuple[Store, MonitorState], old: MonitorState | None
) -> tuple[MonitorState, list[Event]]:
    state, _ = take_over_state(request.store, *other, old)
    return update_windows(request.store, state, request.model.contract, list_stored_windows(state))


def _load_second(store: Store, name: str, version: str | None, model: Model) -> Model | None:
    """Another version with the same inputs and classes. Raises AskedWrongly where these differ."""
    if version is None:
        return None
    second = load_version(store, card_of(store, name, version))
    unlike = second.contract.names != model.contract.names or second.contract.task != model.contract.task
    if unlike or model.contract.task == "regression":
        raise AskedWrongly(f"{version} cannot be the second model: it needs the same inputs, and must be a classifier.")
    return second


def _list_sources(data: Any) -> list[Any]:
    """The deliveries: each file of a folder is one; a folder of folders, such as pictures by class, is one."""
    path = as_path(data) if data is not None else None
    if data is None:
        return []
    if path is None:
        return [data]
    check_file(path)
    if not path.is_dir() or (path / DELTA_LOG).is_dir():
        return [path]
    entries = [p for p in sorted(path.iterdir()) if not p.name.startswith((".", "_"))]
    files = [p for p in entries if p.is_file()]
    return files if files or not entries else [path]


def _add_rows(request: WatchRequest, source: Any, old: MonitorState | None) -> tuple[MonitorState, list[Event]]:
    if request.window is not None and old is not None:
        _check_window(old, parse_window(request.window))
    digest = _digest_source(source)
    if old is not None and digest in old.batches:
        return old.add_to_counters(duplicates=1), []
    store, contract = request.store, request.model.contract
    state = request.begin_state(old, source)
    cut = parse_window(state.window)
    state, touched = take_rows(
        store, state, request.model, source, cut, request.id, request.second, shuffled=request.card.shuffled
    )
    state, more = join_waiting_labels(store, state, contract, cut)
    state = dataclasses.replace(state, batches={**state.batches, digest: "rows"})
    more.setdefault(state.version, set()).update(touched)
    return _finish_delivery(request, old, state, more, "rows")


def _finish_delivery(
    request: WatchRequest, old: MonitorState | None, state: MonitorState, touched: dict[str, set[str]], what: str
) -> tuple[MonitorState, list[Event]]:
    """The state with windows and alarms updated. A silence that this delivery ends was an alarm until now."""
    at = current_seconds()
    state, ended = update_certain_alarms(state, list_served_windows(state), at, SILENT)
    state = note_arrival(state, what, at)
    if what == "rows" and state.counters.get("labels", 0) > (old.counters.get("labels", 0) if old else 0):
        state = note_arrival(state, "labels", at)
    state, more = update_windows(request.store, state, request.model.contract, touched)
    return state, [*ended, *more]


def _add_labels(request: WatchRequest, source: Any, old: MonitorState | None) -> tuple[MonitorState, list[Event]]:
    digest = "labels:" + _digest_source(source)
    if old is not None and digest in old.batches:
        return old.add_to_counters(duplicates=1), []
    state = old or MonitorState(request.card.name, request.model.contract.task)
    labels, repeated = read_labels(source, request.model.contract, request.id)
    cut = parse_window(state.window or f"{DEFAULT_ROWS}rows")
    state, touched = take_labels(request.store, state, request.model.contract, labels, repeated, cut)
    state = dataclasses.replace(state, batches={**state.batches, digest: "labels"})
    return _finish_delivery(request, old, state, touched, "labels")


def _choose_window(state: MonitorState, window: str | None, source: Any, model: Model, id_: str | None) -> MonitorState:
    """The state with its window size, which is chosen once: a day where rows have a date, else a thousand rows."""
    dated = inspect_rows(scan(source, model.contract.row_format), model.contract, id_).dated
    cut = parse_window(window) if window else WindowSize(seconds=86_400) if dated else WindowSize(rows=DEFAULT_ROWS)
    if cut.seconds and not dated:
        raise BadSetting(
            f"The window {window} needs rows with a date: a time column named at adoption.", "Use a window of 1000rows."
        )
    return dataclasses.replace(state, window=str(cut))


def _check_window(state: MonitorState, cut: WindowSize) -> None:
    """Raises BadSetting for another size than the one in use: it is chosen once."""
    if state.window and str(cut) != state.window:
        raise BadSetting(f"{state.name} is watched by windows of {state.window}. Got {cut}.", "Leave `window` out.")


def _digest_source(source: Any) -> str:
    if isinstance(source, Path):
        return digest_source(source) if source.is_dir() else digest_file(source)
    return digest_frame(collect(scan(source, None)))
