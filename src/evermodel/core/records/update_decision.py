"""What became of a challenger: the judge's verdict after the policy had its say."""

from __future__ import annotations

from enum import StrEnum

from evermodel.core.records.event import EventKind


class UpdateDecision(StrEnum):
    """The judge's four verdicts, and the one that only a promotion policy gives."""

    PROMOTE = "promote"
    AWAITING_APPROVAL = "awaiting_approval"  # the judge would promote it; the policy asks a person first
    HOLD = "hold"
    REJECT = "reject"
    INVALID = "invalid"


EVENT_KINDS = {  # the kind of the event in a model's log that records the decision
    UpdateDecision.PROMOTE: EventKind.PROMOTED,
    UpdateDecision.AWAITING_APPROVAL: EventKind.AWAITING_APPROVAL,
    UpdateDecision.HOLD: EventKind.HELD,
    UpdateDecision.REJECT: EventKind.REJECTED,
    UpdateDecision.INVALID: EventKind.QUARANTINED,
}
