"""What probably caused a sequential alarm: its code, and the numbers behind it."""

from __future__ import annotations

import numpy as np

from evermodel.core.records.monitoring import AlarmCause, AlarmData, AlarmKind, TextAspect, TextChange
from evermodel.core.stats.row_cells import JOINT
from evermodel.monitoring.alarms.subjects import Subject
from evermodel.monitoring.monitor_state import MonitorState, VersionMonitor
from evermodel.monitoring.reference import PREDICTION
from evermodel.monitoring.texts.text_changes import find_aspect, measure_change, share_of_baseline
from evermodel.monitoring.texts.written_answers import ANSWERS, KINDS

OF_KIND = {
    AlarmKind.MISSING: AlarmCause.VALUES_MISSING,
    AlarmKind.UNSEEN: AlarmCause.CATEGORIES_UNSEEN,
    AlarmKind.RANGE: AlarmCause.VALUES_OUT_OF_RANGE,
}
OF_METRIC = {"accuracy": AlarmCause.WRONG_ANSWERS_ROSE, "loss": AlarmCause.LARGE_LOSSES_ROSE}


def find_cause(state: MonitorState, watched: VersionMonitor, subject: Subject) -> tuple[AlarmCause, AlarmData]:
    """The cause and its numbers, from the newest window and from what else has an open alarm at the same time."""
    newest = subject.windows[-1]
    now = float(newest[0]) / max(1.0, float(newest.sum()))
    before = float(subject.reference[0] / subject.reference.sum())
    written = find_aspect(subject.subject, {ANSWERS: None})
    if written is not None and written[1] in KINDS:
        before = share_of_baseline(watched.baselines[subject.key])
        return AlarmCause.ANSWERS_CHANGED, AlarmData(texts=(TextChange(*written, now, before),))
    changed_text = find_aspect(subject.subject, watched.texts) if watched.texts else None
    if changed_text is not None:
        return AlarmCause.TEXTS_CHANGED, _describe_texts(watched, subject, *changed_text)
    if subject.kind in OF_KIND:
        return OF_KIND[subject.kind], AlarmData(now, before)
    changed = tuple(
        a.subject for a in state.alarms if not a.closed and a.kind != AlarmKind.QUALITY and a.subject != subject.subject
    )
    if subject.kind is AlarmKind.QUALITY:
        cause = OF_METRIC.get(subject.subject, AlarmCause.CLASS_ERRORS_ROSE)
        if cause is AlarmCause.LARGE_LOSSES_ROSE and state.task == "text":
            cause = AlarmCause.POOR_TEXTS_ROSE
        return cause, AlarmData(now, before, changed_columns=changed)
    if subject.subject == PREDICTION:
        return AlarmCause.PREDICTIONS_SHIFTED, AlarmData(changed_columns=changed)
    if subject.subject == JOINT:
        return AlarmCause.COLUMNS_SHIFTED_TOGETHER, AlarmData()
    return AlarmCause.VALUES_SHIFTED, AlarmData(importance=watched.importance.get(subject.subject))


def _describe_texts(watched: VersionMonitor, subject: Subject, column: str, aspect: TextAspect) -> AlarmData:
    """The figures of the newest window's texts; repeated texts are compared with those of the first rows watched."""
    newest, reference = subject.windows[-1], subject.reference
    now, before = (float(x[0]) / max(1e-9, float(x.sum())) for x in (newest, reference))
    importance = watched.importance.get(subject.subject)
    counts = watched.windows[subject.keys[-1]].texts.get(column)
    if subject.kind is AlarmKind.MISSING:
        change = TextChange(column, TextAspect.MISSING, now, before)
    elif aspect is TextAspect.REPEATS:
        change = TextChange(column, aspect, now, share_of_baseline(watched.baselines[subject.key]))
    elif counts is None:
        change = TextChange(column, aspect, now, before)
    else:
        of = watched.columns[subject.subject]
        bins = watched.windows[subject.keys[-1]].columns[subject.subject].bins
        known = watched.texts[column].counts
        change = measure_change(column, aspect, counts, known, bins, np.asarray(of.concentrations))
    return AlarmData(importance=importance, texts=(change,))
