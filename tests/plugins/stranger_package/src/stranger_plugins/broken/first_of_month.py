"""A trigger that remembers what it answered, so that it does not ask a second time."""

from __future__ import annotations

from evermodel.core.records.job import JobReason
from evermodel.core.trigger import TriggerInput
from stranger_plugins import first_of_month as whole

_ANSWERED: list[float] = []


def first_of_month(trigger_input: TriggerInput, /) -> JobReason | None:
    """It asks once."""
    if len(_ANSWERED) >= 3:
        return None
    _ANSWERED.append(trigger_input.now)
    return whole.first_of_month(trigger_input)
