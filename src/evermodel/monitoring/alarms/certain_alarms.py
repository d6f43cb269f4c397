"""Alarms that need no evidence weighed: columns gone, rows or labels that stopped, windows too full or too empty."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterator

from evermodel.core.records.event import AlarmClosed, Event, EventKind
from evermodel.core.records.monitoring import Alarm, AlarmCause, AlarmData, AlarmKind, Level
from evermodel.monitoring.alarms.incidents import close_alarm
from evermodel.monitoring.monitor_state import MonitorState, WindowCounts
from evermodel.monitoring.texts.text_changes import find_aspect
from evermodel.monitoring.watched_rows import format_time
from evermodel.registry.lookup import event

logger = logging.getLogger(__name__)

KEPT = 50  # arrivals, and windows, that say what is usual
FEWEST_GAPS = 8  # between arrivals, below which nothing is called usual
FEWEST_WINDOWS = 14  # two weeks of days
LONGER = 2.0  # times the longest usual gap: a silence
SHORTEST = 3600.0  # seconds of silence that are never an alarm
SPAN = 3.0  # such silences must fit into the arrivals seen: files loaded one after another are no rhythm
FEWEST_ROWS = 30  # of a window, to say that a unit changed
FAR = 3.0  # times the most, or below a third of the least rows of a usual window
SILENT = (AlarmKind.FRESHNESS, AlarmKind.LABELS)
CERTAIN = (AlarmKind.TYPES, AlarmKind.VOLUME, *SILENT)


def note_arrival(state: MonitorState, what: str, at: float) -> MonitorState:
    """The state with a delivery of ``what`` ("rows", "labels") noted."""
    kept = (*state.arrivals.get(what, ()), at)[-KEPT:]
    return dataclasses.replace(state, arrivals={**state.arrivals, what: kept})


def find_silence(arrivals: tuple[float, ...], at: float) -> float | None:
    """The moment from which the silence is longer than usual; None where there is no rhythm, or nothing is late."""
    if len(arrivals) <= FEWEST_GAPS:
        return None
    allowed = max(SHORTEST, LONGER * _longest_gap(arrivals))
    if arrivals[-1] - arrivals[0] < SPAN * allowed or at - arrivals[-1] <= allowed:
        return None
    return arrivals[-1] + allowed


def _longest_gap(arrivals: tuple[float, ...]) -> float:
    return max(b - a for a, b in zip(arrivals[:-1], arrivals[1:], strict=True))


def find_certain_alarms(state: MonitorState, windows: list[WindowCounts], at: float) -> Iterator[Alarm]:
    """What holds now; ``windows`` of the version in service, oldest first."""
    newest = windows[-1].start if windows else state.at
    for column in sorted(state.missing_columns):
        yield _alarm(AlarmKind.TYPES, column, newest, AlarmCause.COLUMN_GONE, AlarmData(), "critical")
    yield from _unit_alarms(windows, newest)
    yield from _silence_alarms(state, at)
    yield from _volume_alarms(state, windows)


def _unit_alarms(windows: list[WindowCounts], newest: str) -> Iterator[Alarm]:
    """Numbers most of which are where no season takes them: another unit, or another column under this name.

    What is measured of texts has no unit.
    """
    for column, counts in windows[-1].columns.items() if windows else ():
        rows = float(counts.bins.sum())
        if rows >= FEWEST_ROWS and counts.far > rows / 2 and not find_aspect(column, windows[-1].texts):
            data = AlarmData(share_now=counts.far / rows)
            yield _alarm(AlarmKind.TYPES, column, newest, AlarmCause.UNIT_CHANGED, data, "critical")


def _silence_alarms(state: MonitorState, at: float) -> Iterator[Alarm]:
    rows, labels = (state.arrivals.get(k, ()) for k in ("rows", "labels"))
    late = find_silence(rows, at)
    if late is not None:
        data = AlarmData(silent_seconds=at - rows[-1], longest_gap=_longest_gap(rows), n_deliveries=len(rows))
        yield _alarm(AlarmKind.FRESHNESS, "rows", format_time(late), AlarmCause.ROWS_STOPPED, data, "critical")
    late = find_silence(labels, at)
    if late is not None and rows and rows[-1] > labels[-1]:
        data = AlarmData(silent_seconds=at - labels[-1])
        yield _alarm(AlarmKind.LABELS, "labels", format_time(late), AlarmCause.LABELS_STOPPED, data, "warning")


def _volume_alarms(state: MonitorState, windows: list[WindowCounts]) -> Iterator[Alarm]:
    """Only of windows of time: the newest that is over, and the one that still fills if it holds too many already."""
    if state.window.endswith("rows") or len(windows) <= FEWEST_WINDOWS + 1:
        return
    usual = [w.rows for w in windows[-KEPT - 2 : -2]]
    least, most = min(usual) / FAR, max(usual) * FAR
    for window, is_over in ((windows[-1], False), (windows[-2], True)):
        if window.rows > most or (is_over and window.rows < least):
            data = AlarmData(rows=window.rows, usual_rows=(min(usual), max(usual)))
            yield _alarm(AlarmKind.VOLUME, "rows", window.start, AlarmCause.VOLUME_UNUSUAL, data, "warning")
            return


def update_certain_alarms(
    state: MonitorState, windows: list[WindowCounts], at: float, kinds: tuple[AlarmKind, ...] = CERTAIN
) -> tuple[MonitorState, list[Event]]:
    """The state with the alarms of these kinds opened and closed as they hold now, and the events."""
    alarms = state.alarms
    events: list[Event] = []
    now = {(a.kind, a.subject): a for a in find_certain_alarms(state, windows, at) if a.kind in kinds}
    before = {(a.kind, a.subject) for a in alarms if a.kind in kinds and not a.closed}
    newest = windows[-1].start if windows else state.at
    for kind, subject in sorted(before - set(now)):
        ended = newest if kind in (AlarmKind.TYPES, AlarmKind.VOLUME) else format_time(at)
        alarms = close_alarm(alarms, kind, subject, ended)
        logger.info("Alarm %s of %s closed.", kind, subject)
        events.append(event(state.name, EventKind.ALARM_CLOSED, AlarmClosed(kind, subject)))
    opened = [alarm for key, alarm in now.items() if key not in before]
    for alarm in opened:
        alarms = (alarm, *alarms)
        logger.info("Alarm %s of %s opened: %s.", alarm.kind, alarm.subject, alarm.cause)
        events.append(event(state.name, EventKind.ALARM, alarm))
    return dataclasses.replace(state, alarms=alarms).add_to_counters(alarms=len(opened)), events


def add_silence_alarms(state: MonitorState, at: float) -> MonitorState:
    """The state at a moment at which nothing came: silence opens alarms too, and only a clock shows it."""
    return update_certain_alarms(state, list_served_windows(state), at, SILENT)[0]


def list_served_windows(state: MonitorState) -> list[WindowCounts]:
    """The windows of the version in service, oldest first."""
    watched = state.watched.get(state.version)
    return [watched.windows[k] for k in sorted(watched.windows)] if watched is not None else []


def _alarm(kind: AlarmKind, subject: str, since: str, cause: AlarmCause, data: AlarmData, level: Level) -> Alarm:
    return Alarm(kind, subject, level, since, math.inf, cause, data)
