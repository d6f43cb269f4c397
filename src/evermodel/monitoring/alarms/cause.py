"""What probably caused a sequential alarm: its code, and the numbers behind it."""

from __future__ import annotations

from evermodel.core.records.monitoring import AlarmCause, AlarmData, AlarmKind
from evermodel.core.stats.row_cells import JOINT
from evermodel.monitoring.alarms.subjects import Subject
from evermodel.monitoring.monitor_state import MonitorState, VersionMonitor
from evermodel.monitoring.reference import PREDICTION

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
    if subject.kind in OF_KIND:
        return OF_KIND[subject.kind], AlarmData(now, before)
    changed = tuple(
        a.subject for a in state.alarms if not a.closed and a.kind != AlarmKind.QUALITY and a.subject != subject.subject
    )
    if subject.kind is AlarmKind.QUALITY:
        return OF_METRIC[subject.subject], AlarmData(now, before, changed_columns=changed)
    if subject.subject == PREDICTION:
        return AlarmCause.PREDICTIONS_SHIFTED, AlarmData(changed_columns=changed)
    if subject.subject == JOINT:
        return AlarmCause.COLUMNS_SHIFTED_TOGETHER, AlarmData()
    return AlarmCause.VALUES_SHIFTED, AlarmData(importance=watched.importance.get(subject.subject))
