"""Enough new labelled rows have come."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.trigger import TriggerInput

__all__ = ["rows"]


def rows(trigger_input: TriggerInput, /) -> JobReason | None:
    """At least ``rows`` of the policy are ready; no number is a reason where that is 0."""
    wanted, ready = trigger_input.policy.rows, trigger_input.n_ready
    if not wanted or ready < wanted:
        return None
    return JobReason(JobReasonCode.ENOUGH_ROWS, {"ready": ready, "wanted": wanted})
