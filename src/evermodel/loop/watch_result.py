"""The state as others read it, and as a person reads it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core import plugs
from evermodel.core.cells import JOINT
from evermodel.core.label_free import FEWEST, belief
from evermodel.core.monitoring import Drift, Level, Matters, Measured, Monitored, Window
from evermodel.core.reference import ColumnReference, Counted
from evermodel.loop.results import Shown, plain
from evermodel.loop.watch_incidents import holds
from evermodel.loop.watch_look import delay_quantile, earlier
from evermodel.loop.watch_reference import PREDICTION
from evermodel.loop.watch_state import State, Watched

SHOWN_WINDOWS = 200
BINNED = ("ks", "psi", "jensen_shannon", "wasserstein", "chi2")
LINES = 6


def monitored(state: State) -> Monitored:
    """The whole state in the words of core/monitoring.py."""
    watched = state.watched.get(state.version) or Watched(state.version)
    windows = [w for v in state.watched.values() for k in v.looks.values() for w in (k.windows or _bare(v.version, k))]
    return Monitored(
        state.name, state.version, state.task, state.at,
        windows=tuple(windows[-SHOWN_WINDOWS:]),
        alarms=state.alarms,
        drift=tuple(sorted(_drifts(state, watched), key=_order)),
        baseline=dict(state.baseline),
        counters=dict(state.counters),
        gauges=gauges(state),
        notes=(*state.notes, *_estimates_note(watched)),
    )  # fmt: skip


def gauges(state: State) -> dict[str, float]:
    found = {**state.gauges, "false_alarm_rate": state.false_alarms}
    if state.delays:
        found["label_delay"] = delay_quantile(state.delays, 0.5)
    if state.latencies:
        seconds = np.array([s for s, _ in state.latencies])
        found["latency_p50"], found["latency_p99"] = (float(np.quantile(seconds, q)) for q in (0.5, 0.99))
        found["throughput"] = sum(n for _, n in state.latencies) / max(1e-9, float(seconds.sum()))
    return {k: v for k, v in found.items() if math.isfinite(v)}


def _estimates_note(watched: Watched) -> tuple[str, ...]:
    """Which estimate is shown where labels are missing, and how it did before."""
    newest = max(watched.looks, default="")
    whole = watched.looks[newest].windows[:1] if newest else ()
    if not whole or not whole[0].estimates or whole[0].labelled >= FEWEST:
        return ()
    share = belief(earlier(watched.looks, newest))[0]
    what = "the accuracy of the labelled rows before" if share < 0.05 else (
        f"the accuracy of the labelled rows before, moved by {share:.0%} of what the model's confidence says"
    )  # fmt: skip
    return (f"the estimate without labels is {what}: that came truest so far; it is blind to a change of concept",)


def _bare(version: str, look: Any) -> tuple[Window, ...]:
    return (Window(look.start, look.end, look.rows, look.labelled, version, predictions=dict(look.predicted)),)


def _drifts(state: State, watched: Watched) -> Iterator[Drift]:
    """Of the newest look, each column held against its reference."""
    keys = sorted(watched.looks)
    if not keys:
        return
    newest = watched.looks[keys[-1]]
    for name, reference in watched.columns.items():
        if name in newest.columns:
            yield _drift(state, watched, name, reference, newest.columns[name])


def _drift(state: State, watched: Watched, name: str, reference: ColumnReference, now: Counted) -> Drift:
    statistics = {}
    if now.bins.sum():
        for kind in BINNED:
            value = plugs.module("detectors", kind).of_counts(reference, now)
            if value is not None:
                statistics[kind] = value
        odd, n = ("outside", now.outside) if reference.kind == "number" else ("unseen", now.unseen)
        statistics[odd] = n / float(now.bins.sum())
    if now.rows:
        statistics["missing"] = now.missing / now.rows
    found = watched.evidence.get(f"drift:{name}", math.nan)
    alarmed = [a.level for a in holds(state.alarms, name)]
    level: Level = "critical" if "critical" in alarmed else "warning" if alarmed else "ok"
    return Drift(name, statistics, matters(watched, name), level, math.exp(min(found, 700.0)))


def matters(watched: Watched, name: str) -> Matters:
    """By how much the model's loss grows without the column, against the most important one."""
    share = 1.0 if name in (PREDICTION, JOINT) else watched.matters.get(name)
    if share is None:
        return "unknown"
    return "high" if share >= 0.25 else "medium" if share >= 0.05 else "low"


def _order(drift: Drift) -> tuple[int, int, float, str]:
    rank = {"high": 0, "medium": 1, "unknown": 2, "low": 3}
    evidence = drift.evidence if math.isfinite(drift.evidence) else 0.0
    return (0 if drift.level != "ok" else 1, rank[drift.matters], -evidence, drift.column)


@dataclass(frozen=True)
class Watching(Shown):
    """What a look at the monitor showed."""

    monitored: Monitored
    opened: int = 0  # alarms that this call opened

    def to_json(self) -> str:
        return json.dumps(plain(dataclasses.asdict(self.monitored) | {"opened": self.opened}), indent=1)

    @property
    def alarm(self) -> bool:
        return bool(self.monitored.open)

    def lines(self) -> list[str]:
        m = self.monitored
        rows, labels = m.counters.get("predictions", 0), m.counters.get("labels", 0)
        head = f"watched {m.name} {m.version}: {rows:,} rows, {labels:,} labelled"
        whole = [w for w in m.windows if not w.slice]
        shown = [_window_line(w) for w in whole[-LINES:]]
        alarms = [
            f"  ALARM    {a.name} of {a.subject} since {a.since} ({a.level}, e-value {a.evidence:.3g}): {a.cause}\n"
            f"           next: {a.next}"
            for a in m.open
        ]
        drift = [f"  drift    {_drift_line(d)}" for d in m.drift[:LINES] if d.statistics]
        quiet = [] if alarms else ["  quiet    no alarm is open"]
        return [head, *shown, *drift, *alarms, *quiet, *(f"  note     {n}" for n in m.notes)]


def _window_line(w: Window) -> str:
    first = [f"{m} {_interval(v)}" for m, v in list(w.metrics.items())[:2]]
    guess = [f"{m} about {_interval(v)} (estimated)" for m, v in list(w.estimates.items())[:1]]
    told = ", ".join(first or guess) or "no labels yet"
    return f"  {w.start} {w.version}: {w.rows:,} rows, {w.labelled:,} labelled: {told}"


def _interval(v: Measured) -> str:
    return f"{v.value:.4f} [{v.low:.4f}, {v.high:.4f}]"


def _drift_line(d: Drift) -> str:
    told = ", ".join(f"{k} {v:.3g}" for k, v in d.statistics.items() if k in ("ks", "psi", "missing"))
    return f"{d.column} ({d.matters}): {told}"
