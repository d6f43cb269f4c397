"""Alarms that need no evidence weighed: columns gone, rows or labels that stopped, windows too full or too empty."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator

from evermodel.core.clock import seconds
from evermodel.core.monitoring import Alarm
from evermodel.core.store import Event
from evermodel.loop.home import event
from evermodel.loop.watch_evidence import close
from evermodel.loop.watch_state import Look, State

KEPT = 50  # arrivals, and windows, that say what is usual
FEWEST_GAPS = 8  # between arrivals, below which nothing is called usual
FEWEST_WINDOWS = 14  # two weeks of days
LONGER = 2.0  # than the longest usual gap: much longer
SHORTEST = 3600.0  # seconds of silence that are never an alarm
SPAN = 3.0  # such silences must fit into what was seen: files loaded one after another are no rhythm
FEWEST_ROWS = 30  # of a look, to say that a unit changed
FAR = 3.0  # times the most, or below a third of the least rows of a usual window
SILENT = ("freshness", "labels")
CERTAIN = ("types", "volume", *SILENT)


def clock() -> float:
    """Unix seconds."""
    return seconds()


def arrived(state: State, what: str, at: float) -> State:
    """The state with a delivery of ``what`` ("rows", "labels") noted."""
    kept = (*state.arrivals.get(what, ()), at)[-KEPT:]
    return dataclasses.replace(state, arrivals={**state.arrivals, what: kept})


def silence(arrivals: tuple[float, ...], at: float) -> float | None:
    """The moment from which the silence is longer than is usual; None where there is no rhythm, or nothing is late."""
    gaps = [b - a for a, b in zip(arrivals[:-1], arrivals[1:], strict=True)]
    if len(gaps) < FEWEST_GAPS:
        return None
    allowed = max(SHORTEST, LONGER * max(gaps))
    if arrivals[-1] - arrivals[0] < SPAN * allowed or at - arrivals[-1] <= allowed:
        return None
    return arrivals[-1] + allowed


def certain(state: State, looks: list[Look], at: float) -> Iterator[Alarm]:
    """What holds now; ``looks`` of the version in service, oldest first."""
    newest = looks[-1].start if looks else state.at
    for column in sorted(state.gone):
        cause = f"the newest rows have no column {column}; the model cannot be asked without it"
        yield _alarm("types", column, newest, cause, f"evermodel watch {state.name} MENDED_ROWS", "critical")
    yield from _units(state, looks, newest)
    yield from _silences(state, at)
    yield from _volume(state, looks)


def _units(state: State, looks: list[Look], newest: str) -> Iterator[Alarm]:
    """Numbers of which most lie where no season takes them: another unit, or another column under this name."""
    for column, counted in looks[-1].columns.items() if looks else ():
        seen = float(counted.bins.sum())
        if seen >= FEWEST_ROWS and counted.far > seen / 2:
            cause = f"{counted.far / seen:.0%} of the newest values of {column} lie farther outside the reference "
            cause += "rows' range than that is wide: another unit, or another column?"
            yield _alarm("types", column, newest, cause, f"evermodel show {state.name} {state.version}", "critical")


def _silences(state: State, at: float) -> Iterator[Alarm]:
    rows, labels = (state.arrivals.get(k, ()) for k in ("rows", "labels"))
    late = silence(rows, at)
    if late is not None:
        cause = f"no rows came for {_long(at - rows[-1])}; the longest wait of the last {len(rows)} deliveries was "
        cause += _long(max(b - a for a, b in zip(rows[:-1], rows[1:], strict=True)))
        yield _alarm("freshness", "rows", _moment(late), cause, f"evermodel watch {state.name} NEW_ROWS", "critical")
    late = silence(labels, at)
    if late is not None and rows and rows[-1] > labels[-1]:
        cause = f"no labels came for {_long(at - labels[-1])}, though rows did: nothing is known of how good they are"
        yield _alarm("labels", "labels", _moment(late), cause, f"evermodel watch {state.name} --labels FILE", "warning")


def _volume(state: State, looks: list[Look]) -> Iterator[Alarm]:
    """Only of windows of time: the newest that is over, and the one that still fills if it holds too many already."""
    if state.window.endswith("rows") or len(looks) <= FEWEST_WINDOWS + 1:
        return
    usual = [k.rows for k in looks[-KEPT - 2 : -2]]
    least, most = min(usual) / FAR, max(usual) * FAR
    for look, over in ((looks[-1], False), (looks[-2], True)):
        if look.rows > most or (over and look.rows < least):
            cause = f"{look.rows:,} rows in the window from {look.start}; usual are {min(usual):,} to {max(usual):,}"
            yield _alarm("volume", "rows", look.start, cause, f"evermodel watch {state.name} NEW_ROWS", "warning")
            return


def settled(state: State, looks: list[Look], at: float, names: tuple[str, ...] = CERTAIN) -> tuple[State, list[Event]]:
    """The state with those alarms opened and closed as they hold now, and what happened."""
    alarms = state.alarms
    events: list[Event] = []
    now = {(a.name, a.subject): a for a in certain(state, looks, at) if a.name in names}
    was = {(a.name, a.subject) for a in alarms if a.name in names and not a.closed}
    newest = looks[-1].start if looks else state.at
    for name, subject in sorted(was - set(now)):
        over = newest if name in ("types", "volume") else _moment(at)
        alarms = close(alarms, name, subject, over)
        events.append(event(state.name, "alarm closed", {"alarm": name, "subject": subject}))
    for key in [k for k in now if k not in was]:
        alarms = (now[key], *alarms)
        events.append(event(state.name, "alarm", {**dataclasses.asdict(now[key]), "evidence": None}))
    opened = sum(e.kind == "alarm" for e in events)
    return dataclasses.replace(state, alarms=alarms).counted(alarms=opened), events


def as_read(state: State, at: float) -> State:
    """The state as it stands at a moment at which nothing came: silence opens alarms too, and only a clock tells it."""
    return settled(state, in_service(state), at, SILENT)[0]


def in_service(state: State) -> list[Look]:
    """The looks of the version in service, oldest first."""
    watched = state.watched.get(state.version)
    return [watched.looks[k] for k in sorted(watched.looks)] if watched is not None else []


def _alarm(name: str, subject: str, since: str, cause: str, command: str, level: str) -> Alarm:
    return Alarm(name, subject, "critical" if level == "critical" else "warning", since, math.inf, cause, command)


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _long(seconds: float) -> str:
    for name, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
