"""A column that the model depends on much, or what it predicts, is distributed differently."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode, ReasonValue
from evermodel.core.records.monitoring import AlarmKind
from evermodel.core.trigger import TriggerInput

__all__ = ["drift"]


def drift(trigger_input: TriggerInput, /) -> JobReason | None:
    """A critical drift alarm that no update has answered; the one with the most evidence where there are several."""
    alarms = [a for a in trigger_input.alarms(AlarmKind.DRIFT, answered=False) if a.level == "critical"]
    if not alarms:
        return None
    strongest = max(alarms, key=lambda alarm: alarm.evidence)
    data: dict[str, ReasonValue] = {
        "subject": strongest.subject,
        "since": strongest.since,
        "evidence": strongest.evidence,
    }
    return JobReason(JobReasonCode.DRIFT, data)
