"""What a monitor says of a model in service: windows, alarms, drift. Values that cannot be known are NaN or absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warning", "critical", "unknown"]
Matters = Literal["low", "medium", "high", "unknown"]


@dataclass(frozen=True)
class Measured:
    """One metric on the ``n`` rows (of a ranking: groups) that could be scored; ``low`` to ``high`` holds it: 95 %."""

    value: float
    low: float
    high: float
    n: int
    estimated: bool = False  # without labels, from the model's own confidence: blind to a change of concept


@dataclass(frozen=True)
class Window:
    """Rows of one stretch, one version, one slice ("": all). ``metrics`` speaks for the ``labelled`` rows alone."""

    start: str  # ISO 8601 UTC, or the number of the first row where there is no time
    end: str
    rows: int
    labelled: int
    version: str
    slice: str = ""  # "sex=f"
    mature: bool = True  # labels of these rows had the usual time to arrive
    metrics: Mapping[str, Measured] = field(default_factory=dict)
    estimates: Mapping[str, Measured] = field(default_factory=dict)  # of all rows of the window, labels or not
    predictions: Mapping[str, int] = field(default_factory=dict)  # class -> how often it was predicted
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # class in truth -> predicted -> rows


@dataclass(frozen=True)
class Alarm:
    """Something that holds beyond doubt. Opens once, closes by itself; ``closed`` is "" while it is open."""

    name: str  # "quality", "drift", "missing", "unseen", "range", "types", "freshness", "volume", "labels"
    subject: str  # the metric or the column: bounded by the contract
    level: Level
    since: str  # ISO 8601 UTC, or the number of a row
    evidence: float  # e-value: 1 / evidence bounds the chance of a false alarm; inf for what is certain
    cause: str  # what probably caused it, in words
    next: str  # the command to run next
    closed: str = ""
    members: tuple[str, ...] = ()  # what alarmed from one cause: "drift:age", "missing:age"; () for what is certain


@dataclass(frozen=True)
class Drift:
    """How one column (or "prediction", "all columns") of the rows watched differs from the reference."""

    column: str
    statistics: Mapping[str, float]  # "ks", "psi", "jensen_shannon", "wasserstein", "chi2", "missing", "unseen", …
    matters: Matters  # by how much the model depends on the column
    level: Level = "ok"
    evidence: float = float("nan")  # anytime-valid e-value against "the rows are like the reference"


@dataclass(frozen=True)
class Monitored:
    """The monitor's whole state as others read it: Prometheus, Nagios, the web page, the notifiers, maintenance.

    ``counters`` only grow and survive restarts: "predictions", "labels", "batches", "duplicates", "strangers" (labels
    whose row was never seen), "alarms" (opened so far), "predicted.CLASS". ``gauges``: "last_row" and "last_label"
    (Unix seconds the newest came in), "label_delay" (median, seconds), "latency_p50", "latency_p99" (seconds a batch),
    "throughput" (rows a second), "false_alarm_rate" (the promise), absent where not known.
    """

    name: str
    version: str  # in service at the newest window
    task: str
    at: str  # ISO 8601 UTC: when the monitor last looked
    windows: tuple[Window, ...] = ()  # oldest first, as many as are kept
    alarms: tuple[Alarm, ...] = ()  # open ones first, then closed ones, newest first
    drift: tuple[Drift, ...] = ()  # of the newest look, what matters most first
    baseline: Mapping[str, float] = field(default_factory=dict)  # metric -> at adoption or promotion
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[Alarm, ...]:
        return tuple(a for a in self.alarms if not a.closed)
