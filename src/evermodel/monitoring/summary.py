"""The monitor's state as other parts read it, and as a person reads it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evermodel.core.records.monitoring import Drift, Importance, Level, MetricValue, MonitorStatus, TextAspect, Window
from evermodel.core.stats.accuracy_estimate import MIN_LABELLED, fit_trust
from evermodel.core.stats.drift_statistic import DRIFT_STATISTICS, OfCounts
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference
from evermodel.core.stats.row_cells import JOINT
from evermodel.monitoring.alarms.alarm_wording import build_notices
from evermodel.monitoring.alarms.incidents import find_open_alarms
from evermodel.monitoring.monitor_state import MonitorState, VersionMonitor, WindowCounts
from evermodel.monitoring.reference import PREDICTION
from evermodel.monitoring.texts.text_changes import MEASURED, measure_aspect, share_of_baseline
from evermodel.monitoring.texts.written_answers import ANSWERS, KINDS
from evermodel.monitoring.windows import list_earlier_sums, quantile_of_delays
from evermodel.registry.results import Result, to_json_value

SHOWN_WINDOWS = 200
LAST_OF_TEXT = f".{TextAspect.NOT_ASCII}"
LINES = 6


def summarize_state(state: MonitorState) -> MonitorStatus:
    """The state as a ``MonitorStatus``."""
    watched = state.watched.get(state.version) or VersionMonitor(state.version)
    windows = [
        w
        for v in state.watched.values()
        for k in v.windows.values()
        for w in (k.measurements or _unmeasured_window(v.version, k))
    ]
    return MonitorStatus(
        state.name,
        state.version,
        state.task,
        state.at,
        windows=tuple(windows[-SHOWN_WINDOWS:]),
        alarms=state.alarms,
        drift=tuple(sorted(_list_drift(state, watched), key=_drift_order)),
        baseline=dict(state.baseline),
        counters=dict(state.counters),
        gauges=compute_gauges(state),
        notes=(*state.notes, *_note_estimate(watched), *_note_texts(state, watched)),
    )


def compute_gauges(state: MonitorState) -> dict[str, float]:
    """The gauges of ``MonitorStatus``; those that are not known are absent."""
    gauges = {**state.gauges, "false_alarm_rate": state.false_alarms}
    if state.label_delays:
        gauges["label_delay"] = quantile_of_delays(state.label_delays, 0.5)
    if state.latencies:
        seconds = np.array([s for s, _ in state.latencies])
        gauges["latency_p50"], gauges["latency_p99"] = (float(np.quantile(seconds, q)) for q in (0.5, 0.99))
        gauges["throughput"] = sum(n for _, n in state.latencies) / max(1e-9, float(seconds.sum()))
    return {k: v for k, v in gauges.items() if math.isfinite(v)}


def _note_estimate(watched: VersionMonitor) -> tuple[str, ...]:
    """Which estimate is shown where labels are missing."""
    newest = max(watched.windows, default="")
    whole = watched.windows[newest].measurements[:1] if newest else ()
    if not whole or not whole[0].estimates or whole[0].labelled >= MIN_LABELLED:
        return ()
    share = fit_trust(list_earlier_sums(watched.windows, newest))[0]
    what = "the accuracy of the earlier labelled rows"
    if share >= 0.05:
        what += f", moved by {share:.0%} of what the model's confidence says"
    return (f"without labels, the accuracy is estimated as {what}; a change of concept would not show in it",)


def _note_texts(state: MonitorState, watched: VersionMonitor) -> tuple[str, ...]:
    """What of texts is not watched: answers of free text, and words where the monitor began before they were."""
    if state.task == "text":
        return ("the prompts are watched, and those answers that came with them and have labels; none was written",)
    old = [n.removesuffix(LAST_OF_TEXT) for n in watched.columns if n.endswith(LAST_OF_TEXT)]
    if not (old := [n for n in old if n not in watched.texts]):
        return ()
    return (
        f"of the texts of {', '.join(old)}, lengths and characters are watched; words, scripts, topics and repeated "
        "texts are from the next version on, since the reference of this one was made without them",
    )


def _unmeasured_window(version: str, window: WindowCounts) -> tuple[Window, ...]:
    return (
        Window(window.start, window.end, window.rows, window.labelled, version, predictions=dict(window.predicted)),
    )


def _list_drift(state: MonitorState, watched: VersionMonitor) -> Iterator[Drift]:
    """Each column of the newest window, compared with its reference."""
    keys = sorted(watched.windows)
    if not keys:
        return
    newest = watched.windows[keys[-1]]
    of_texts = _measure_texts(watched, newest) if newest.texts or newest.answers.answers else {}
    for name, reference in watched.columns.items():
        if name in newest.columns:
            drift = _compute_drift(state, watched, name, reference, newest.columns[name])
            means = of_texts.pop(name, {})
            yield dataclasses.replace(drift, statistics={**drift.statistics, **means}) if means else drift
    for name, means in of_texts.items():
        yield _rate_drift(state, watched, name, means)


def _measure_texts(watched: VersionMonitor, newest: WindowCounts) -> dict[str, dict[str, float]]:
    """``text.length``, … -> its mean in a window's texts, and in the reference rows' or the first ones watched."""
    means: dict[str, dict[str, float]] = {}
    for column, texts in newest.texts.items():
        for aspect in MEASURED if texts.texts else ():
            if aspect is TextAspect.SURPRISE and not texts.read_characters:
                continue
            name = f"{column}.{aspect}"
            means[name] = {"mean": measure_aspect(aspect, texts)}
            if aspect is not TextAspect.REPEATS:
                means[name]["reference_mean"] = measure_aspect(aspect, watched.texts[column].counts)
            elif (before := watched.baselines.get(f"drift:{name}")) is not None:
                means[name]["reference_mean"] = share_of_baseline(before)
    for kind in KINDS if newest.answers.answers else ():
        true, others = newest.answers.count(kind)
        means[f"{ANSWERS}.{kind}"] = {"mean": true / (true + others)}
        if (before := watched.baselines.get(f"drift:{ANSWERS}.{kind}")) is not None:
            means[f"{ANSWERS}.{kind}"]["reference_mean"] = share_of_baseline(before)
    return means


def _compute_drift(
    state: MonitorState, watched: VersionMonitor, name: str, reference: ColumnReference, now: ColumnCounts
) -> Drift:
    statistics = {}
    if now.bins.sum():
        for kind, module in DRIFT_STATISTICS.usable():
            value = module.of_counts(reference, now) if isinstance(module, OfCounts) else None
            if value is not None:
                statistics[kind] = value
        odd, n = ("outside", now.outside) if reference.kind == "number" else ("unseen", now.unseen)
        statistics[odd] = n / float(now.bins.sum())
    if now.rows:
        statistics["missing"] = now.missing / now.rows
    return _rate_drift(state, watched, name, statistics)


def _rate_drift(state: MonitorState, watched: VersionMonitor, name: str, statistics: Mapping[str, float]) -> Drift:
    log_evidence = watched.evidence.get(f"drift:{name}", math.nan)
    alarmed = [a.level for a in find_open_alarms(state.alarms, name)]
    level: Level = "critical" if "critical" in alarmed else "warning" if alarmed else "ok"
    return Drift(name, statistics, rate_importance(watched, name), level, math.exp(min(log_evidence, 700.0)))


def rate_importance(watched: VersionMonitor, name: str) -> Importance:
    """The importance of a column, relative to the most important one, as a level."""
    share = 1.0 if name in (PREDICTION, JOINT) else watched.importance.get(name)
    if share is None:
        return "unknown"
    return "high" if share >= 0.25 else "medium" if share >= 0.05 else "low"


def _drift_order(drift: Drift) -> tuple[int, int, float, float, str]:
    rank = {"high": 0, "medium": 1, "unknown": 2, "low": 3}
    evidence = max(1.0, drift.evidence) if math.isfinite(drift.evidence) else 1.0  # less than 1 says nothing
    psi = drift.statistics.get("psi", 0.0)
    return (0 if drift.level != "ok" else 1, rank[drift.importance], -evidence, -psi, drift.column)


@dataclass(frozen=True)
class WatchResult(Result):
    """The state of a model's monitor after a delivery."""

    status: MonitorStatus
    opened: int = 0  # alarms that this call opened

    def to_json(self) -> str:
        words = {"open_alarms": build_notices(self.status), "opened": self.opened}
        return json.dumps(to_json_value(dataclasses.asdict(self.status) | words), indent=1)

    @property
    def alarm(self) -> bool:
        """Whether an alarm is open."""
        return bool(self.status.open)

    def lines(self) -> list[str]:
        m = self.status
        rows, labels = m.counters.get("predictions", 0), m.counters.get("labels", 0)
        head = f"watched {m.name} {m.version}: {rows:,} rows, {labels:,} labelled"
        whole = [w for w in m.windows if not w.slice]
        shown = [_window_line(w) for w in whole[-LINES:]]
        alarms = [
            f"  ALARM    {n.alarm.kind} of {n.alarm.subject} since {n.alarm.since} "
            f"({n.alarm.level}, e-value {n.alarm.evidence:.3g}): {n.text}\n"
            f"           next: {n.next_command}"
            for n in build_notices(m)
        ]
        drift = [f"  drift    {_drift_line(d)}" for d in m.drift[:LINES] if d.statistics]
        quiet = [] if alarms else ["  quiet    no alarm is open"]
        return [head, *shown, *drift, *alarms, *quiet, *(f"  note     {n}" for n in m.notes)]


def _window_line(w: Window) -> str:
    first = [f"{m} {_interval(v)}" for m, v in list(w.metrics.items())[:2]]
    guess = [f"{m} about {_interval(v)} (estimated)" for m, v in list(w.estimates.items())[:1]]
    metrics = ", ".join(first or guess) or "no labels yet"
    others = [f"; {target} {m} {_interval(v)}" for target, of in w.answers.items() for m, v in list(of.items())[:1]]
    return f"  {w.start} {w.version}: {w.rows:,} rows, {w.labelled:,} labelled: {metrics}{''.join(others)}"


def _interval(v: MetricValue) -> str:
    return f"{v.value:.4f} [{v.low:.4f}, {v.high:.4f}]"


def _drift_line(d: Drift) -> str:
    statistics = ", ".join(f"{k} {v:.3g}" for k, v in d.statistics.items() if k in ("ks", "psi", "missing"))
    if "mean" in d.statistics:
        statistics += f"{', ' if statistics else ''}mean {d.statistics['mean']:.3g}"
        if "reference_mean" in d.statistics:
            statistics += f" (before {d.statistics['reference_mean']:.3g})"
    return f"{d.column} ({d.importance}): {statistics}"
