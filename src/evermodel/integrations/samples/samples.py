"""Turns what is known of a model into samples. What is not known has no sample: never a 0, never a NaN."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from evermodel.core.records.event import SERVING, Decided, Event, EventKind
from evermodel.core.records.monitoring import Alarm, MetricValue, MonitorStatus, Window
from evermodel.core.records.update_decision import EVENT_KINDS, UpdateDecision
from evermodel.core.records.verdict import Comparison
from evermodel.core.records.version_card import VersionCard
from evermodel.integrations.samples.families import MOST_CLASSES, MOST_COLUMNS, MOST_SLICES

COUNTERS = {
    "predictions": "evermodel_rows",
    "labels": "evermodel_labels",
    "batches": "evermodel_batches",
    "duplicates": "evermodel_duplicates",
    "unmatched_labels": "evermodel_unmatched_labels",
    "alarms": "evermodel_alarms",
}
GAUGES = {
    "last_row": "evermodel_last_row_timestamp_seconds",
    "last_label": "evermodel_last_label_timestamp_seconds",
    "label_delay": "evermodel_label_delay_seconds",
    "latency_p50": "evermodel_batch_latency_p50_seconds",
    "latency_p99": "evermodel_batch_latency_p99_seconds",
    "throughput": "evermodel_throughput_rows_per_second",
    "false_alarm_rate": "evermodel_false_alarm_bound_ratio",
}
DECISIONS = {
    **{kind: decision for decision, kind in EVENT_KINDS.items()},
    EventKind.APPROVED: UpdateDecision.PROMOTE,  # a promotion by hand is no decision: the judge was not asked
}


class Sample(NamedTuple):
    """One value of a family; ``labels`` are all of the family's labels but ``model``, in its order."""

    family: str
    labels: tuple[str, ...]
    value: float


def samples(
    monitored: MonitorStatus | None, champion: VersionCard, log: Sequence[Event], evidence: Comparison | None = None
) -> Iterator[Sample]:
    """Everything known of one model; ``monitored`` is None where nothing was watched. Unknown values are left out."""
    task = "" if monitored is None else monitored.task
    found = [*_serving(champion, task), *_happened(log, evidence), *([] if monitored is None else _watched(monitored))]
    return (s for s in found if not math.isnan(s.value))


def unix(at: str) -> float:
    """Seconds since 1970 of an ISO 8601 time, UTC where it names no zone; NaN for anything else (a row's number)."""
    try:
        when = dt.datetime.fromisoformat(at)
    except ValueError:
        return math.nan
    if at.isdigit():  # "20260101" is a row's number here, though fromisoformat reads it as a date
        return math.nan
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()


def newest(windows: Iterable[Window]) -> dict[str, Window]:
    """The last window of each slice, whatever is known of it."""
    return {w.slice: w for w in windows if w.rows}


def select_judged_windows(windows: Iterable[Window]) -> dict[str, Window]:
    """The last window of each slice whose labels had time to come, and that could be scored."""
    return {w.slice: w for w in windows if w.mature and w.metrics}


def _watched(monitored: MonitorStatus) -> Iterator[Sample]:
    last = newest(monitored.windows)
    bounded = sorted(last)[: MOST_SLICES + 1]  # "" is all rows, and sorts first
    for s in bounded:
        window = last[s]
        yield Sample("evermodel_window_rows", (window.version, s), window.rows)
        yield Sample("evermodel_window_labelled_rows", (window.version, s), window.labelled)
        yield from _measured("evermodel_quality_estimated", window, window.estimates)
    for s, window in select_judged_windows(monitored.windows).items():
        if s in bounded:
            yield from _measured("evermodel_quality", window, window.metrics, rows="evermodel_quality_rows")
        for answer, metrics in window.answers.items() if not s else ():
            yield from _measured_answer(window.version, answer, metrics)
        for truth, said in window.confusion.items() if not s else ():
            for predicted, rows in said.items():
                yield Sample("evermodel_confusion_rows", (window.version, truth, predicted), rows)
    for metric, value in monitored.baseline.items():
        yield Sample("evermodel_quality_baseline", (metric,), value)
    yield Sample("evermodel_last_watched_timestamp_seconds", (), unix(monitored.at))
    yield from _alarms(monitored.alarms)
    yield from _drift(monitored)
    yield from _counted(monitored)


def _measured(family: str, window: Window, metrics: Mapping[str, MetricValue], rows: str = "") -> Iterator[Sample]:
    for metric, m in metrics.items():
        labels = (window.version, window.slice, metric)
        yield Sample(family, labels, m.value)
        yield Sample(f"{family}_low", labels, m.low)
        yield Sample(f"{family}_high", labels, m.high)
        if rows:
            yield Sample(rows, labels, m.n)


def _measured_answer(version: str, answer: str, metrics: Mapping[str, MetricValue]) -> Iterator[Sample]:
    for metric, m in metrics.items():
        labels = (version, answer, metric)
        yield Sample("evermodel_answer_quality", labels, m.value)
        yield Sample("evermodel_answer_quality_low", labels, m.low)
        yield Sample("evermodel_answer_quality_high", labels, m.high)
        yield Sample("evermodel_answer_quality_rows", labels, m.n)


def _alarms(alarms: Sequence[Alarm]) -> Iterator[Sample]:
    opened = [a for a in alarms if not a.closed]
    for level in ("warning", "critical"):
        yield Sample("evermodel_alarms_open", (level,), sum(a.level == level for a in opened))
    states = {(a.kind, a.subject, a.level): 0.0 for a in alarms} | {(a.kind, a.subject, a.level): 1.0 for a in opened}
    for labels, value in states.items():
        yield Sample("evermodel_alarm_open", labels, value)
    for (name, subject), evidence in {(a.kind, a.subject): a.evidence for a in reversed(opened)}.items():
        yield Sample("evermodel_alarm_evidence", (name, subject), evidence)


def _drift(monitored: MonitorStatus) -> Iterator[Sample]:
    for drift in {d.column: d for d in monitored.drift[:MOST_COLUMNS]}.values():
        yield Sample("evermodel_drift_column", (drift.column, drift.importance), 1)
        yield Sample("evermodel_drift_evidence", (drift.column,), drift.evidence)
        for statistic, value in drift.statistics.items():
            yield Sample("evermodel_drift_statistic", (drift.column, statistic), value)


def _counted(monitored: MonitorStatus) -> Iterator[Sample]:
    counters, gauges = monitored.counters, monitored.gauges
    yield from (Sample(COUNTERS[k], (), n) for k, n in counters.items() if k in COUNTERS)
    classes = {k.removeprefix("predicted."): n for k, n in counters.items() if k.startswith("predicted.")}
    if len(classes) <= MOST_CLASSES:
        yield from (Sample("evermodel_predictions", (c,), n) for c, n in classes.items())
    yield from (Sample(GAUGES[k], (), v) for k, v in gauges.items() if k in GAUGES)


def _serving(champion: VersionCard, task: str) -> Iterator[Sample]:
    yield Sample("evermodel_version", (champion.version, task, champion.framework), 1)
    yield Sample("evermodel_version_created_timestamp_seconds", (), unix(champion.created))


def _happened(log: Sequence[Event], evidence: Comparison | None) -> Iterator[Sample]:
    """The log is only ever appended to, so that what is counted from it never falls."""
    kinds = Counter(event.kind for event in log)
    decided = [(decision, e) for e in log if (decision := DECISIONS.get(e.kind)) is not None]
    counts = Counter(decision for decision, _ in decided)
    for decision in UpdateDecision:
        yield Sample("evermodel_updates", (decision,), counts[decision])
    yield Sample("evermodel_promotions", (), sum(kinds[kind] for kind in SERVING if kind is not EventKind.ROLLED_BACK))
    yield Sample("evermodel_rollbacks", (), kinds[EventKind.ROLLED_BACK])
    for decision, at in {decision: e.at for decision, e in decided}.items():
        yield Sample("evermodel_last_verdict_timestamp_seconds", (decision,), unix(at))
    changed = [e.at for e in log if e.kind in SERVING]
    yield from (Sample("evermodel_last_change_timestamp_seconds", (), unix(at)) for at in changed[-1:])
    for _, event in decided[-1:]:
        if isinstance(event.data, Decided):
            yield Sample("evermodel_update_seconds", (), event.data.seconds)
        if evidence is not None:
            yield Sample("evermodel_update_gain", (evidence.metric,), evidence.gain)
