"""Puts what alarms at once, or from one cause, into one alarm: it opens once and closes when all of it is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from evermodel.core.cells import JOINT
from evermodel.core.monitoring import Alarm
from evermodel.loop.watch_reference import PREDICTION
from evermodel.loop.watch_state import Tested, Watched, place

NAMED = 6  # columns that a cause names


def joined(alarms: tuple[Alarm, ...], new: Alarm, key: str, watched: Watched) -> tuple[tuple[Alarm, ...], bool]:
    """The alarms with ``new`` of the subject ``key`` among them, and whether it is one of its own.

    It joins an open alarm whose columns began to change with the same look, or one that its column moves with. The
    quality of answers is always told by itself: it says what the rest costs.
    """
    new = dataclasses.replace(new, members=(key,))
    for i, alarm in enumerate(alarms):
        if not alarm.closed and alarm.members and _one_cause(alarm, new, watched):
            return (*alarms[:i], _both(alarm, new, watched), *alarms[i + 1 :]), False
    return (new, *alarms), True


def _one_cause(alarm: Alarm, new: Alarm, watched: Watched) -> bool:
    if (alarm.name == "quality") != (new.name == "quality"):
        return False
    if alarm.name == "quality" or alarm.since == new.since:
        return True
    columns = {_column(m) for m in alarm.members}
    if new.subject in columns or {PREDICTION, JOINT} & {new.subject, alarm.subject}:
        return True
    return bool(columns & set(watched.related.get(new.subject, ())))


def _both(alarm: Alarm, new: Alarm, watched: Watched) -> Alarm:
    """Name and subject stay, so that whoever was told of it finds it again."""
    members = tuple(dict.fromkeys((*alarm.members, *new.members)))
    columns = list(dict.fromkeys(_column(m) for m in members))
    others = [c for c in columns if c != alarm.subject]
    told = alarm.cause.partition("; with it ")[0]
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        told += f"; with it {', '.join(others[:NAMED])}{more}{_why(alarm, new, columns, watched)}"
    level = "critical" if "critical" in (alarm.level, new.level) else alarm.level
    return dataclasses.replace(alarm, members=members, level=level, evidence=max(alarm.evidence, new.evidence),
                               since=min(alarm.since, new.since, key=place), cause=told)  # fmt: skip


def _why(alarm: Alarm, new: Alarm, columns: list[str], watched: Watched) -> str:
    if alarm.name == "quality":
        return ""
    if all(set(columns) & set(watched.related.get(c, ())) for c in columns if c not in (PREDICTION, JOINT)):
        return " (they move together: probably one cause)"
    return " (from the same rows on: probably one batch or source)" if alarm.since == new.since else ""


def over(alarms: tuple[Alarm, ...], tested: Mapping[str, Tested], at: str) -> tuple[tuple[Alarm, ...], list[Alarm]]:
    """The alarms with those closed at ``at`` of which no part still holds, and those."""
    done = [
        a for a in alarms
        if not a.closed and a.members and not any(tested[m].opened for m in a.members if m in tested)
    ]  # fmt: skip
    return tuple(dataclasses.replace(a, closed=at) if a in done else a for a in alarms), done


def holds(alarms: tuple[Alarm, ...], column: str) -> list[Alarm]:
    """The open alarms that a column is part of."""
    return [a for a in alarms if not a.closed and a.name != "quality"
            and (a.subject == column or column in {_column(m) for m in a.members})]  # fmt: skip


def _column(member: str) -> str:
    return member.partition(":")[2]
