"""The last full training is old."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.trigger import TriggerInput

__all__ = ["age"]
DAY = 86_400.0


def age(trigger_input: TriggerInput, /) -> JobReason | None:
    """It is older than the policy's ``age``. Where maintenance never trained in full, the policy's own age counts."""
    seconds = trigger_input.now - trigger_input.trained_at
    if seconds <= trigger_input.policy.seconds("age"):
        return None
    return JobReason(JobReasonCode.OLD_TRAINING, {"days": seconds / DAY})
