"""Puts what alarms at once, or from one cause, into one alarm: it opens once and closes when all of it is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from evermodel.core.records.monitoring import Alarm, AlarmKind, AlarmLink, TextChange
from evermodel.core.stats.row_cells import JOINT
from evermodel.monitoring.alarms.subjects import column_of
from evermodel.monitoring.monitor_state import TestProgress, VersionMonitor, sort_key
from evermodel.monitoring.reference import PREDICTION


def add_alarm(
    alarms: tuple[Alarm, ...], new: Alarm, key: str, watched: VersionMonitor
) -> tuple[tuple[Alarm, ...], bool]:
    """The alarms with ``new`` of the subject ``key`` among them, and whether it is an alarm of its own.

    It joins an open alarm whose columns began to change with the same window, or one of a related column. The quality
    of the predictions is always an alarm of its own: it says what the rest costs.
    """
    new = dataclasses.replace(new, members=(key,))
    for i, alarm in enumerate(alarms):
        if not alarm.closed and alarm.members and _has_same_cause(alarm, new, watched):
            return (*alarms[:i], _merge(alarm, new, watched), *alarms[i + 1 :]), False
    return (new, *alarms), True


def _has_same_cause(alarm: Alarm, new: Alarm, watched: VersionMonitor) -> bool:
    if (alarm.kind == AlarmKind.QUALITY) != (new.kind == AlarmKind.QUALITY):
        return False
    if alarm.kind == AlarmKind.QUALITY or alarm.since == new.since:
        return True
    columns = {column_of(m) for m in alarm.members}
    if new.subject in columns or {PREDICTION, JOINT} & {new.subject, alarm.subject}:
        return True
    return bool(columns & set(watched.related.get(new.subject, ())))


def _merge(alarm: Alarm, new: Alarm, watched: VersionMonitor) -> Alarm:
    """Kind and subject stay, so that whoever was notified of the alarm finds it again."""
    members = tuple(dict.fromkeys((*alarm.members, *new.members)))
    return dataclasses.replace(
        alarm,
        members=members,
        level="critical" if "critical" in (alarm.level, new.level) else alarm.level,
        evidence=max(alarm.evidence, new.evidence),
        since=_find_begin(alarm, new),
        data=dataclasses.replace(
            alarm.data, link=_find_link(alarm, new, members, watched), texts=_join_texts(alarm, new)
        ),
    )


def _find_begin(alarm: Alarm, new: Alarm) -> str:
    """Of alarms of inputs the earlier window; of quality that of the stronger evidence.

    Of many classes with few rows each, one seems by chance to have been worse long before.
    """
    if alarm.kind == AlarmKind.QUALITY:
        return new.since if new.evidence > alarm.evidence else alarm.since
    return min(alarm.since, new.since, key=sort_key)


def _join_texts(alarm: Alarm, new: Alarm) -> tuple[TextChange, ...]:
    """What either alarm says of texts; an aspect that both speak of as it is now."""
    both = (*alarm.data.texts, *new.data.texts)
    return tuple({(c.column, c.aspect): c for c in both}.values())


def _find_link(alarm: Alarm, new: Alarm, members: tuple[str, ...], watched: VersionMonitor) -> AlarmLink | None:
    """Why the columns of a merged alarm belong together; None where nothing speaks for one cause."""
    columns = {column_of(m) for m in members}
    if alarm.kind == AlarmKind.QUALITY or columns == {alarm.subject}:
        return None
    if all(columns & set(watched.related.get(c, ())) for c in columns if c not in (PREDICTION, JOINT)):
        return AlarmLink.RELATED_COLUMNS
    return AlarmLink.SAME_ROWS if alarm.since == new.since else None


def close_ended(
    alarms: tuple[Alarm, ...], progress: Mapping[str, TestProgress], at: str
) -> tuple[tuple[Alarm, ...], list[Alarm]]:
    """The alarms with those closed at ``at`` of which no part still holds, and those."""
    ended = [
        a
        for a in alarms
        if not a.closed and a.members and not any(progress[m].opened for m in a.members if m in progress)
    ]
    return tuple(dataclasses.replace(a, closed=at) if a in ended else a for a in alarms), ended


def close_alarm(alarms: tuple[Alarm, ...], kind: AlarmKind, subject: str, at: str) -> tuple[Alarm, ...]:
    """The alarms with the open one of this kind and subject closed at ``at``."""
    return tuple(
        dataclasses.replace(a, closed=at) if (a.kind, a.subject, a.closed) == (kind, subject, "") else a for a in alarms
    )


def find_open_alarms(alarms: tuple[Alarm, ...], column: str) -> list[Alarm]:
    """The open alarms that a column is part of."""
    return [
        a
        for a in alarms
        if not a.closed
        and a.kind != AlarmKind.QUALITY
        and (a.subject == column or column in {column_of(m) for m in a.members})
    ]
