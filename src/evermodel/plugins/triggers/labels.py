"""Labels have come for which the last update waited."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.trigger import TriggerInput

__all__ = ["labels"]


def labels(trigger_input: TriggerInput, /) -> JobReason | None:
    """The last update found too few labelled rows, and as many as it needs have got their labels since."""
    late = trigger_input.n_ready_late
    if not trigger_input.last_update_waited or late < trigger_input.policy.min_rows:
        return None
    return JobReason(JobReasonCode.LABELS_CAME, {"rows": late})
