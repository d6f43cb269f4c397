"""The figures that ``check`` can hold against a threshold, by the names a user types."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from evermodel.core.errors import NotFound
from evermodel.core.monitoring import Monitored
from evermodel.export._monitor.samples import judged, newest, unix

AGES = {"row_age": "last_row", "label_age": "last_label"}  # seconds since the newest came
DECIDING = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}
ESTIMATED = "estimated."
DRIFT = "drift."


@dataclass(frozen=True)
class Figure:
    """A value with what is said of it; NaN where it cannot be known, and then ``says`` is why."""

    name: str
    value: float
    unit: str = ""  # Nagios's units: "s", "c" (a counter), ""
    says: str = ""


def figure(monitored: Monitored, name: str, *, slice: str = "", now: float | None = None) -> Figure:  # noqa: A002
    """The figure of that name: a metric, ``estimated.METRIC``, ``drift.COLUMN.STATISTIC``, an age or a count.

    Raises NotFound, listing the figures there are, where no model of this kind could have it.
    """
    if name in AGES or name == "look_age":
        return _age(monitored, name, time.time() if now is None else now)
    if name == "open_alarms":
        return Figure(name, len(monitored.open))
    if name.startswith(DRIFT):
        return _drift(monitored, name)
    if name.startswith(ESTIMATED):
        return _quality(monitored, name, slice, estimated=True)
    return _quality(monitored, name, slice, estimated=False)


def names(monitored: Monitored) -> list[str]:
    """Every figure this monitor can be asked for."""
    metrics = {m for w in monitored.windows for m in w.metrics} | set(monitored.baseline)
    estimates = {ESTIMATED + m for w in monitored.windows for m in w.estimates}
    drift = {f"{DRIFT}{d.column}.{s}" for d in monitored.drift for s in d.statistics}
    return sorted({*metrics, *estimates, *drift, *AGES, "look_age", "open_alarms"})


def _age(monitored: Monitored, name: str, now: float) -> Figure:
    at = unix(monitored.at) if name == "look_age" else monitored.gauges.get(AGES[name], math.nan)
    what = {"row_age": "row", "label_age": "label", "look_age": "look"}[name]
    if math.isnan(at):
        return Figure(name, math.nan, "s", f"when the newest {what} came is not known")
    age = max(0.0, now - at)
    return Figure(name, age, "s", f"newest {what} {duration(age)} ago")


def _quality(monitored: Monitored, name: str, slice: str, *, estimated: bool) -> Figure:  # noqa: A002
    metric = name.removeprefix(ESTIMATED)
    window = (newest if estimated else judged)(monitored.windows).get(slice)
    if name not in names(monitored):
        raise NotFound.among("figure", name, names(monitored), "See docs/how-to/monitor-with-nagios.md.")
    if slice and slice not in {w.slice for w in monitored.windows}:
        raise NotFound.among("slice", slice, {w.slice for w in monitored.windows if w.slice})
    found = None if window is None else (window.estimates if estimated else window.metrics).get(metric)
    of = f" of {slice}" if slice else ""
    if found is None or math.isnan(found.value):
        return Figure(name, math.nan, "", f"{name}{of} is not known: no rows with labels that had time to come")
    rows = "rows, without labels" if estimated else "labelled rows"
    return Figure(
        name, found.value, "", f"{name}{of} {found.value:.4g} [{found.low:.4g}, {found.high:.4g}] on {found.n:,} {rows}"
    )


def _drift(monitored: Monitored, name: str) -> Figure:
    known = {f"{DRIFT}{d.column}.{s}": v for d in monitored.drift for s, v in d.statistics.items()}
    if name not in known:
        raise NotFound.among("figure", name, names(monitored), "See docs/how-to/monitor-with-nagios.md.")
    value = known[name]
    return Figure(name, value, "", f"{name} {value:.4g}" if math.isfinite(value) else f"{name} is not known")


def duration(seconds: float) -> str:
    """90 -> "90 s", 7200 -> "2.0 h"; what a person would say."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
