"""The figures that ``check`` compares with thresholds, by the names that users type."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from evermodel.core.errors import NotFound
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.integrations.samples.samples import newest, select_judged_windows, unix

AGES = {"row_age": "last_row", "label_age": "last_label"}  # seconds since the newest arrived
DECIDING = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}
ESTIMATED = "estimated."
DRIFT = "drift."


@dataclass(frozen=True)
class Figure:
    """A value with its description; NaN where it is not known, and then ``text`` says why."""

    name: str
    value: float
    unit: str = ""  # Nagios's units: "s", "c" (a counter), ""
    text: str = ""


def compute_figure(status: MonitorStatus, name: str, *, slice: str = "", now: float | None = None) -> Figure:  # noqa: A002
    """The figure of that name: a metric, ``estimated.METRIC``, ``drift.COLUMN.STATISTIC``, an age or a count.

    Raises NotFound, listing the figures there are, where no model of this kind could have it.
    """
    if name in AGES or name == "watch_age":
        return _age(status, name, time.time() if now is None else now)
    if name == "open_alarms":
        return Figure(name, len(status.open))
    if name.startswith(DRIFT):
        return _drift(status, name)
    if name.startswith(ESTIMATED):
        return _quality(status, name, slice, estimated=True)
    return _quality(status, name, slice, estimated=False)


def list_figures(status: MonitorStatus) -> list[str]:
    """The names of all figures of this monitor."""
    metrics = {m for w in status.windows for m in w.metrics} | set(status.baseline)
    estimates = {ESTIMATED + m for w in status.windows for m in w.estimates}
    drift = {f"{DRIFT}{d.column}.{s}" for d in status.drift for s in d.statistics}
    return sorted({*metrics, *estimates, *drift, *AGES, "watch_age", "open_alarms"})


def _age(status: MonitorStatus, name: str, now: float) -> Figure:
    at = unix(status.at) if name == "watch_age" else status.gauges.get(AGES[name], math.nan)
    what = {"row_age": "row", "label_age": "label", "watch_age": "watch"}[name]
    if math.isnan(at):
        return Figure(name, math.nan, "s", f"the time of the newest {what} is not known")
    age = max(0.0, now - at)
    return Figure(name, age, "s", f"newest {what} {format_duration(age)} ago")


def _quality(status: MonitorStatus, name: str, slice: str, *, estimated: bool) -> Figure:  # noqa: A002
    metric = name.removeprefix(ESTIMATED)
    window = (newest if estimated else select_judged_windows)(status.windows).get(slice)
    if name not in list_figures(status):
        raise NotFound.among("figure", name, list_figures(status), "See docs/how-to/monitor-with-nagios.md.")
    if slice and slice not in {w.slice for w in status.windows}:
        raise NotFound.among("slice", slice, {w.slice for w in status.windows if w.slice})
    found = None if window is None else (window.estimates if estimated else window.metrics).get(metric)
    of = f" of {slice}" if slice else ""
    if found is None or math.isnan(found.value):
        return Figure(name, math.nan, "", f"{name}{of} is not known: no labelled rows whose labels had time to arrive")
    rows = "rows, without labels" if estimated else "labelled rows"
    return Figure(
        name, found.value, "", f"{name}{of} {found.value:.4g} [{found.low:.4g}, {found.high:.4g}] on {found.n:,} {rows}"
    )


def _drift(status: MonitorStatus, name: str) -> Figure:
    known = {f"{DRIFT}{d.column}.{s}": v for d in status.drift for s, v in d.statistics.items()}
    if name not in known:
        raise NotFound.among("figure", name, list_figures(status), "See docs/how-to/monitor-with-nagios.md.")
    value = known[name]
    return Figure(name, value, "", f"{name} {value:.4g}" if math.isfinite(value) else f"{name} is not known")


def format_duration(seconds: float) -> str:
    """90 -> "90 s", 7200 -> "2.0 h"."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
