"""Puts events into words, in this one place: why something happened, in one sentence."""

from __future__ import annotations

from evermodel.core.records.event import (
    Adopted,
    AlarmClosed,
    ChampionMoved,
    Decided,
    DeliveryRefused,
    Event,
    Notified,
    PolicyChanged,
    RowsDeleted,
)
from evermodel.core.records.monitoring import Alarm


def describe_event(event: Event) -> str:
    """Why it happened, in one sentence; "" where nothing more is known than that it did."""
    data = event.data
    if isinstance(data, Adopted):
        return data.notes[0] if data.notes else ""
    if isinstance(data, Decided):
        return data.reasons[0] if data.reasons else ""
    if isinstance(data, ChampionMoved):
        return data.reasons[0] if data.reasons else f"was {data.was}"
    if isinstance(data, PolicyChanged):
        return f"changed {', '.join(data.changed)}"
    if isinstance(data, DeliveryRefused):
        return data.reasons[0] if data.reasons else ""
    if isinstance(data, AlarmClosed):
        return f"{data.alarm} of {data.subject}"
    if isinstance(data, Notified):
        return f"{data.level}: {data.what} ({', '.join(data.by or data.failed)})"
    if isinstance(data, RowsDeleted):
        return f"{sum(data.rows.values()):,} rows of one value of {data.column}, on request"
    return _describe_alarm(data)


def _describe_alarm(alarm: Alarm) -> str:
    return f"{alarm.level}: {alarm.kind} of {alarm.subject}: {str(alarm.cause).replace('_', ' ')}"
