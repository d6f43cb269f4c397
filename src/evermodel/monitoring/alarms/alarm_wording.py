"""Puts alarms into sentences: what was observed, what probably caused it, and which command to run next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evermodel.core.records.monitoring import Alarm, AlarmCause, AlarmKind, AlarmLink, MonitorStatus
from evermodel.monitoring.alarms.subjects import RECALL, column_of
from evermodel.monitoring.texts.text_changes import describe_changes, find_aspect

NAMED = 6  # columns that a sentence names
MATTERS_MUCH = 0.25  # share of the most important column's importance
_LINKS = {
    None: "",
    AlarmLink.RELATED_COLUMNS: " (these columns are related, so there is probably one cause)",
    AlarmLink.SAME_ROWS: " (from the same rows on, so probably one batch or source)",
}


def describe_alarm(alarm: Alarm) -> str:
    """What was observed, in one sentence without its full stop: notices and tables put it into their own lines."""
    text = _TEXTS[AlarmCause(alarm.cause)](alarm)
    if alarm.data.texts and alarm.cause not in (AlarmCause.TEXTS_CHANGED, AlarmCause.ANSWERS_CHANGED):
        text += f"; {describe_changes(alarm.data.texts)}"
    return text + _describe_members(alarm)


def next_command(alarm: Alarm, name: str, version: str, task: str = "") -> str:
    """The command to run next for an alarm of the model ``name``, whose ``version`` is in service.

    A model that writes texts is evaluated: answers that nobody logged cannot be compared with labels.
    """
    if alarm.kind == AlarmKind.QUALITY:
        return f"evermodel update {name} NEW_ROWS"
    if alarm.cause == AlarmCause.COLUMN_GONE:
        return f"evermodel watch {name} CORRECTED_ROWS"
    if alarm.kind in (AlarmKind.FRESHNESS, AlarmKind.VOLUME):
        return f"evermodel watch {name} NEW_ROWS"
    if alarm.kind in (AlarmKind.DRIFT, AlarmKind.LABELS) or alarm.cause == AlarmCause.TEXTS_CHANGED:
        return f"evermodel evaluate {name} NEW_ROWS" if task == "text" else f"evermodel watch {name} --labels FILE"
    return f"evermodel show {name} {version}"


@dataclass(frozen=True)
class AlarmNotice:
    """An alarm as people read it."""

    alarm: Alarm
    text: str
    next_command: str


def build_notices(status: MonitorStatus) -> tuple[AlarmNotice, ...]:
    """The open alarms of a model in words, each with the command to run next."""
    return tuple(
        AlarmNotice(a, describe_alarm(a), next_command(a, status.name, status.version, status.task))
        for a in status.open
    )


def describe_seconds(seconds: float) -> str:
    """``3 days``, ``5 hours``: a whole number of the largest unit that fits twice."""
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _describe_members(alarm: Alarm) -> str:
    """``; also b, c``: the other columns that alarmed from the same cause."""
    columns = dict.fromkeys(column_of(key) for key in alarm.members)
    told = {f"{c.column}.{c.aspect}" for c in alarm.data.texts}
    texts = {c.column: None for c in alarm.data.texts}
    others = [c for c in columns if c != alarm.subject and c not in told and not (texts and find_aspect(c, texts))]
    if not others:
        return ""
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"; also {', '.join(others[:NAMED])}{more}{_LINKS[alarm.data.link]}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _quality(alarm: Alarm) -> str:
    what, of = _QUALITY[AlarmCause(alarm.cause)], ""
    if alarm.cause == AlarmCause.CLASS_ERRORS_ROSE:
        of = f" of the class {alarm.subject.removeprefix(RECALL)}"
    now, before = _percent(alarm.data.share_now), _percent(alarm.data.share_before)
    columns = alarm.data.changed_columns
    inputs = (
        f"these inputs changed as well: {', '.join(columns[:3])}" if columns else "no change of the inputs is shown"
    )
    return f"{what} rose to {now} of the newest labelled rows{of}, from {before}; {inputs}"


_QUALITY = {
    AlarmCause.WRONG_ANSWERS_ROSE: "wrong answers",
    AlarmCause.LARGE_LOSSES_ROSE: "rows with a large loss",
    AlarmCause.POOR_TEXTS_ROSE: "answers that share less than half of their words with the label",
    AlarmCause.CLASS_ERRORS_ROSE: "wrong answers",
}


def _shifted(alarm: Alarm) -> str:
    text = f"the values of {alarm.subject} are distributed differently than in the reference rows"
    if alarm.data.importance is None:
        return text
    return f"{text}; the model depends {_strength(alarm.data.importance)} on this column"


def _predictions(alarm: Alarm) -> str:
    columns = alarm.data.changed_columns
    inputs = f"; these inputs changed as well: {', '.join(columns[:3])}" if columns else ""
    return f"the predictions are distributed differently than before{inputs}"


def _missing(alarm: Alarm) -> str:
    now, before = _percent(alarm.data.share_now), _percent(alarm.data.share_before)
    return f"values of {alarm.subject} are missing in {now} of the newest rows, and in {before} of the reference rows"


def _texts(alarm: Alarm) -> str:
    text = (
        describe_changes(alarm.data.texts) or f"{alarm.subject} is distributed differently than in the reference rows"
    )
    if alarm.data.importance is None:
        return text
    return f"{text}; the model depends {_strength(alarm.data.importance)} on them"


def _strength(importance: float) -> str:
    return "strongly" if importance >= MATTERS_MUCH else "weakly"


def _rows_stopped(alarm: Alarm) -> str:
    silent, longest = alarm.data.silent_seconds or 0.0, alarm.data.longest_gap or 0.0
    return (
        f"no rows came for {describe_seconds(silent)}; the longest gap between the last {alarm.data.n_deliveries} "
        f"deliveries was {describe_seconds(longest)}"
    )


def _labels_stopped(alarm: Alarm) -> str:
    silent = describe_seconds(alarm.data.silent_seconds or 0.0)
    return f"no labels came for {silent}, though rows did: the quality of the newest predictions is unknown"


def _volume(alarm: Alarm) -> str:
    least, most = alarm.data.usual_rows or (0, 0)
    return f"{alarm.data.rows or 0:,} rows in the window from {alarm.since}; usual are {least:,} to {most:,}"


_TEXTS: dict[AlarmCause, Callable[[Alarm], str]] = {
    AlarmCause.WRONG_ANSWERS_ROSE: _quality,
    AlarmCause.LARGE_LOSSES_ROSE: _quality,
    AlarmCause.POOR_TEXTS_ROSE: _quality,
    AlarmCause.CLASS_ERRORS_ROSE: _quality,
    AlarmCause.VALUES_SHIFTED: _shifted,
    AlarmCause.PREDICTIONS_SHIFTED: _predictions,
    AlarmCause.COLUMNS_SHIFTED_TOGETHER: lambda _: (
        "the columns depend on each other differently than in the reference rows, even if each looks as before"
    ),
    AlarmCause.TEXTS_CHANGED: _texts,
    AlarmCause.ANSWERS_CHANGED: lambda a: (
        describe_changes(a.data.texts) or f"{a.subject} rose above what they were of the first answers watched"
    ),
    AlarmCause.VALUES_MISSING: _missing,
    AlarmCause.CATEGORIES_UNSEEN: lambda a: (
        f"{a.subject} holds categories that the reference rows do not hold, "
        f"in {_percent(a.data.share_now)} of the newest rows"
    ),
    AlarmCause.VALUES_OUT_OF_RANGE: lambda a: (
        f"{a.subject} is outside the reference rows' range in {_percent(a.data.share_now)} of the newest rows"
    ),
    AlarmCause.COLUMN_GONE: lambda a: (
        f"the newest rows have no column {a.subject}; the model cannot predict without it"
    ),
    AlarmCause.UNIT_CHANGED: lambda a: (
        f"{_percent(a.data.share_now)} of the newest values of {a.subject} are outside the reference rows' range by "
        "more than its width; the unit may have changed, or the column may hold something else"
    ),
    AlarmCause.ROWS_STOPPED: _rows_stopped,
    AlarmCause.LABELS_STOPPED: _labels_stopped,
    AlarmCause.VOLUME_UNUSUAL: _volume,
}
