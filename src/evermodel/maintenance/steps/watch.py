"""Lets the monitor see what was delivered."""

from __future__ import annotations

from evermodel.core.errors import AskedWrongly
from evermodel.maintenance.job_context import JobContext
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.watch import take_deliveries

__all__ = ["watch"]


def watch(context: JobContext) -> JobContext:
    """Gives rows (or, where there are, predictions) and labels to ``watch``; a delivery seen before changes nothing."""
    rows = "predictions" if context.policy.predictions else "rows"
    for source, what in context.delivered:
        if what not in (rows, "labels"):
            continue
        context.progress(f"watching {source}")
        data, labels = (source, None) if what == rows else (None, source)
        try:
            seen = take_deliveries(
                context.store, context.name, data, labels=labels, id_column=context.policy.id or None, fence=context.job
            )
        except AskedWrongly as error:
            context = context.with_note(f"not watched, {source}: {error.message}")
            continue
        opened = seen.status.open[: seen.opened]
        context = context.with_note(*(f"alarm: {a.kind} of {a.subject}: {describe_alarm(a)}" for a in opened))
    return context
