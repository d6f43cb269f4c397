"""The model errs more often, or an update did not put an end to that."""

from __future__ import annotations

from evermodel.core.records.job import JobReason, JobReasonCode, ReasonValue
from evermodel.core.records.monitoring import AlarmKind
from evermodel.core.records.update_mode import UpdateMode
from evermodel.core.trigger import TriggerInput, alarm_key

__all__ = ["quality"]


def quality(trigger_input: TriggerInput, /) -> JobReason | None:
    """A loss that no update recovered, else an alarm that an update did not close, else one that none has answered.

    What an update of one mode did not mend is a reason for a heavier one; after the heaviest, time has to tell.
    """
    return _loss_not_recovered(trigger_input) or _still_open(trigger_input) or _more_errors(trigger_input)


def _loss_not_recovered(trigger_input: TriggerInput) -> JobReason | None:
    """A new version's alarms begin at its own level, however low: so what was lost is compared with what came back."""
    loss = trigger_input.unrecovered_loss
    if loss is None or not loss.is_short:
        return None
    n_known = trigger_input.n_known + trigger_input.n_ready
    again = loss.mode is not UpdateMode.INCREMENTAL and loss.justifies_training(n_known)
    if not (_has_heavier(loss.mode, trigger_input) or again):
        return None
    data: dict[str, ReasonValue] = {
        "before": loss.before,
        "after": loss.after,
        "now": trigger_input.recent_score,
        "mode": str(loss.mode),
    }
    return JobReason(JobReasonCode.LOSS_NOT_RECOVERED, data)


def _still_open(trigger_input: TriggerInput) -> JobReason | None:
    if trigger_input.now <= trigger_input.updated_at:
        return None
    for alarm in trigger_input.alarms(AlarmKind.QUALITY, answered=True):
        mode = trigger_input.answered[alarm_key(alarm)]
        if _has_heavier(mode, trigger_input):
            data: dict[str, ReasonValue] = {"subject": alarm.subject, "since": alarm.since, "mode": str(mode)}
            return JobReason(JobReasonCode.ALARM_STILL_OPEN, data)
    return None


def _more_errors(trigger_input: TriggerInput) -> JobReason | None:
    alarms = trigger_input.alarms(AlarmKind.QUALITY, answered=False)
    if not alarms:
        return None
    strongest = max(alarms, key=lambda alarm: alarm.evidence)
    data: dict[str, ReasonValue] = {
        "subject": strongest.subject,
        "since": strongest.since,
        "evidence": strongest.evidence,
    }
    return JobReason(JobReasonCode.MORE_ERRORS, data)


def _has_heavier(mode: UpdateMode, trigger_input: TriggerInput) -> bool:
    """Whether a heavier mode is worth trying; after full trainings, a search where they win less and less."""
    return mode is UpdateMode.INCREMENTAL or (mode is UpdateMode.SINGLE_FIT and trigger_input.gains_shrink)
