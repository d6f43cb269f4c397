"""A trigger for models that are retrained with every month's closing."""

from __future__ import annotations

from datetime import UTC, datetime

from evermodel.core.records.job import JobReason
from evermodel.core.trigger import TriggerInput


def first_of_month(trigger_input: TriggerInput, /) -> JobReason | None:
    """An update is due as soon as a month has begun in which there was none yet."""
    now, last = (datetime.fromtimestamp(t, UTC) for t in (trigger_input.now, trigger_input.updated_at))
    if (now.year, now.month) == (last.year, last.month):
        return None
    month = now.strftime("%Y-%m")
    return JobReason("month_began", {"month": month}, f"{month} has begun, and the model was not updated in it yet.")
