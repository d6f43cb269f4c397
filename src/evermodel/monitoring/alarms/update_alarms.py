"""Brings all alarms of the version in service up to date after a delivery."""

from __future__ import annotations

import dataclasses
import logging
import math

from evermodel.core.clock import current_seconds
from evermodel.core.records.event import AlarmClosed, Event, EventKind
from evermodel.core.records.monitoring import Alarm, AlarmKind, Level
from evermodel.monitoring.alarms.cause import find_cause
from evermodel.monitoring.alarms.certain_alarms import update_certain_alarms
from evermodel.monitoring.alarms.incidents import add_alarm, close_ended
from evermodel.monitoring.alarms.sequential_alarms import run_test
from evermodel.monitoring.alarms.subjects import Subject, list_subjects
from evermodel.monitoring.monitor_state import MonitorState, TestProgress, VersionMonitor, WindowCounts
from evermodel.monitoring.reference import PREDICTION
from evermodel.registry.lookup import event

logger = logging.getLogger(__name__)

CLOSED_KEPT = 50
UNIMPORTANT = 0.05  # importance of a column below which its drift is shown, and raises no alarm
CRITICAL = 0.25  # importance of a column from which its alarm is critical


def update_alarms(
    state: MonitorState, watched: VersionMonitor, windows: list[WindowCounts], mature: set[str]
) -> tuple[MonitorState, list[Event]]:
    """The state with every subject tested and its alarms opened, joined and closed; and the events.

    ``windows`` are those of the version in service, oldest first; ``mature`` holds keys of those whose labels came.
    """
    progress, evidence, alarms = dict(watched.progress), {}, state.alarms
    events: list[Event] = []
    by_key = {w.key: w for w in windows}
    for subject in list_subjects(watched, windows, mature):
        before = progress.get(subject.key) or TestProgress(number=_count_tests(state, subject.key) + 1)
        result = run_test(subject, before, state.false_alarms)
        progress[subject.key], evidence[subject.key] = result.progress, result.log_evidence
        if result.began is not None and not _is_unimportant(watched, subject):
            so_far = dataclasses.replace(state, alarms=alarms)
            alarm = _open_alarm(so_far, watched, subject, result.log_evidence, by_key[result.began])
            alarms, is_own = add_alarm(alarms, alarm, subject.key, watched)
            logger.info(
                "Alarm %s of %s %s: %s.", subject.key, state.name, "opened" if is_own else "joined", alarm.cause
            )
            events += [event(state.name, EventKind.ALARM, alarms[0])] if is_own else []
        if result.closed is not None:
            alarms, ended = close_ended(alarms, progress, by_key[result.closed].end)
            logger.info("The subject %s of %s is as before; %d alarms closed.", subject.key, state.name, len(ended))
            events += [event(state.name, EventKind.ALARM_CLOSED, AlarmClosed(a.kind, a.subject)) for a in ended]
    n_opened = sum(e.kind is EventKind.ALARM for e in events)
    state, certain = update_certain_alarms(dataclasses.replace(state, alarms=alarms), windows, current_seconds())
    closed = [a for a in state.alarms if a.closed][:CLOSED_KEPT]
    kept = [*(a for a in state.alarms if not a.closed), *closed]
    watched = dataclasses.replace(watched, progress=progress, evidence=evidence)
    state = dataclasses.replace(state, watched={**state.watched, state.version: watched}, alarms=tuple(kept))
    return state.add_to_counters(alarms=n_opened), [*events, *certain]


def _count_tests(state: MonitorState, key: str) -> int:
    """How often a subject's test began under the versions watched so far: each has a share of its own."""
    return max((w.progress[key].number for w in state.watched.values() if key in w.progress), default=0)


def _is_unimportant(watched: VersionMonitor, subject: Subject) -> bool:
    """Drift of a column that the model does not depend on is shown, and raises no alarm."""
    return subject.kind is AlarmKind.DRIFT and watched.importance.get(subject.subject, 1.0) < UNIMPORTANT


def _open_alarm(
    state: MonitorState, watched: VersionMonitor, subject: Subject, log_evidence: float, since: WindowCounts
) -> Alarm:
    importance = watched.importance.get(subject.subject, math.nan)
    critical = subject.kind is AlarmKind.QUALITY or subject.subject == PREDICTION or importance >= CRITICAL
    level: Level = "critical" if critical else "warning"
    cause, data = find_cause(state, watched, subject)
    return Alarm(subject.kind, subject.subject, level, since.start, math.exp(min(log_evidence, 700.0)), cause, data)
