"""The sentences of maintenance, made of codes and values: why a job is due, how an update goes."""

from __future__ import annotations

from collections.abc import Iterable

from evermodel.core.records.job import JobReason, JobReasonCode
from evermodel.core.records.update_mode import UpdateMode

TEMPLATES: dict[str, str] = {
    JobReasonCode.FIRST_CHECK: "the first check of a new policy",
    JobReasonCode.SCHEDULE: "schedule: {schedule} ({time_zone})",
    JobReasonCode.MORE_ERRORS: "the model errs more often since {since}, by {subject} (e-value {evidence:.3g})",
    JobReasonCode.ALARM_STILL_OPEN: "the alarm of {subject} since {since} is still open after {mode}",
    JobReasonCode.LOSS_NOT_RECOVERED: (
        "a loss from {before:.4f} to {after:.4f} is not recovered after {mode}: the score is {now:.4f}"
    ),
    JobReasonCode.DRIFT: "{subject} is distributed differently since {since} (e-value {evidence:.3g})",
    JobReasonCode.ENOUGH_ROWS: "{ready:,} new labelled rows have come; the policy asks for an update at {wanted:,}",
    JobReasonCode.LABELS_CAME: "the labels of {rows:,} rows have come, for which the last update waited",
    JobReasonCode.OLD_TRAINING: "the last full training is {days:.0f} days old",
    JobReasonCode.WORTH_ITS_COST: (
        "{lost:.1f} points of {metric} are lost; to recover half of them is worth {worth:,.2f} over {days:.0f} days "
        "({volume:,.0f} predictions a day), and an update costs {price:,.2f}"
    ),
}
MODES: dict[str, str] = {
    UpdateMode.INCREMENTAL: "an incremental update",
    UpdateMode.SINGLE_FIT: "a full training",
    UpdateMode.TUNE: "a search over hyperparameters",
}


def describe_reason(reason: JobReason) -> str:
    """The reason as a person reads it."""
    template = TEMPLATES.get(reason.code)
    if template is None:  # of a trigger of another package
        return reason.message or reason.code
    values = {key: MODES.get(str(value), value) if key == "mode" else value for key, value in reason.data.items()}
    return template.format(**values)


def describe_reasons(reasons: Iterable[JobReason]) -> str:
    """All reasons of a job in one line."""
    return "; ".join(describe_reason(reason) for reason in reasons)


def describe_mode(mode: UpdateMode) -> str:
    """The update mode as a person reads it."""
    return MODES[mode]
