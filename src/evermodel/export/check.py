"""A Nagios plugin's answer about a model in service: one line, performance data, a state."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadSetting, MissingExtra
from evermodel.core.monitoring import Alarm, Monitored
from evermodel.export._monitor.figures import DECIDING, Figure, figure, names
from evermodel.export._monitor.reading import watched
from evermodel.loop.results import Shown

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
WORST_FIRST = ("CRITICAL", "WARNING", "UNKNOWN", "OK")  # what is known to be bad is not hidden by what is not known
LEVELS = {"ok": "OK", "warning": "WARNING", "critical": "CRITICAL", "unknown": "UNKNOWN"}


@dataclass(frozen=True)
class Checked(Shown):
    """What Nagios is told: ``exit_code`` 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    name: str
    state: str
    exit_code: int
    text: str
    performance: tuple[str, ...]  # "auc=0.91;0.8:;0.7:;0;1"
    figures: Mapping[str, float]
    alarms: tuple[Alarm, ...]

    def lines(self) -> list[str]:
        data = " ".join(self.performance)
        return [f"MODEL {self.state} - {self.text}" + (f" | {data}" if data else "")]


@dataclass(frozen=True)
class _Held:
    """One figure held against its thresholds."""

    state: str
    says: str
    performance: str = ""


def check(
    name: str,
    *,
    metric: str | Sequence[str] = (),
    warning: str | Sequence[str] = (),
    critical: str | Sequence[str] = (),
    alarms: bool = True,
    slice: str = "",  # noqa: A002
    home: str | Path | None = None,
) -> Checked:
    """Hold a model's monitor against thresholds; an open alarm counts by its level unless ``alarms`` is off.

    ``warning``, ``critical``: Nagios ranges, ``RANGE`` for ``metric`` (default: the task's deciding one) or
    ``FIGURE=RANGE``. "0.8:" alerts below 0.8, "3600" above 3600. UNKNOWN is what cannot be known: never watched, no
    labelled rows yet. Raises NotFound, BadSetting, MissingExtra.

        $ evermodel check churn --warning auc=0.85: --critical auc=0.8: --critical row_age=7200
    """
    needs_plugin_library()
    monitored = watched(name, home)
    if monitored is None:
        said = f"{name} was never watched; 'evermodel watch {name} DATA' begins"
        return Checked(name, "UNKNOWN", 3, said, (), {}, ())
    metrics = _listed(metric)
    usual = metrics[0] if metrics else DECIDING.get(monitored.task, "accuracy")
    limits = _limits(_listed(warning), _listed(critical), usual)
    wanted = list(dict.fromkeys([*metrics, *limits])) or [m for m in (usual,) if m in names(monitored)]
    figures = [figure(monitored, wish, slice=slice) for wish in wanted]
    held = [_held(f, *limits.get(f.name, ("", ""))) for f in figures]
    held += [_alarm(a) for a in monitored.open] if alarms else []
    return _answer(name, monitored, held, {f.name: f.value for f in figures}, alarms)


def needs_plugin_library() -> None:
    """Raises MissingExtra where nagiosplugin is not installed."""
    if importlib.util.find_spec("nagiosplugin") is None:
        raise MissingExtra.for_package("nagiosplugin", "monitor", "A Nagios check")


def one_line(text: str) -> str:
    """The text without what would end the line or begin the performance data."""
    return " ".join(text.replace("|", "/").split())


def _listed(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _limits(warning: Sequence[str], critical: Sequence[str], usual: str) -> dict[str, tuple[str, str]]:
    """Figure -> its warning and its critical range, "" where none was given. Raises BadSetting."""
    found: dict[str, list[str]] = {}
    for place, (option, texts) in enumerate((("--warning", warning), ("--critical", critical))):
        for text in texts:
            name, equals, range_ = text.rpartition("=")
            checked_range(range_ if name or not equals else "", option, text)
            pair = found.setdefault(name if equals else usual, ["", ""])
            if pair[place]:
                raise BadSetting(f"{option} was given twice for {name or usual}: {pair[place]} and {range_}.")
            pair[place] = range_
    return {name: (pair[0], pair[1]) for name, pair in found.items()}


def checked_range(text: str, option: str, given: str) -> None:
    import nagiosplugin

    try:
        if not text:
            raise ValueError
        nagiosplugin.Range(text)
    except (ValueError, TypeError):
        raise BadSetting(
            f"{option} takes a Nagios range, or FIGURE=RANGE. Got {given!r}.",
            "0.8: alerts below 0.8; 3600 alerts above 3600 (and below 0); @1:2 alerts inside.",
        ) from None


def _held(found: Figure, warning: str, critical: str) -> _Held:
    import nagiosplugin
    from nagiosplugin.performance import Performance

    if math.isnan(found.value):
        return _Held("UNKNOWN" if warning or critical else "OK", found.says)
    crossed = [
        (state, text)
        for state, text in (("CRITICAL", critical), ("WARNING", warning))
        if text and not nagiosplugin.Range(text).match(found.value)
    ]
    shown = f"{found.value:.0f}" if found.unit == "s" or found.value == int(found.value) else f"{found.value:.6g}"
    data = str(Performance(found.name.replace("'", "").replace("=", "_"), shown, found.unit, warning, critical))
    says = found.says or f"{found.name} {shown}"
    return _Held(crossed[0][0], f"{says} (outside range {crossed[0][1]})", data) if crossed else _Held("OK", says, data)


def _alarm(alarm: Alarm) -> _Held:
    return _Held(LEVELS[alarm.level], f"alarm {alarm.name} of {alarm.subject}: {alarm.cause}; next: {alarm.next}")


def _answer(
    name: str, monitored: Monitored, held: Sequence[_Held], figures: Mapping[str, float], alarms: bool
) -> Checked:
    state = min((h.state for h in held), key=WORST_FIRST.index, default="OK")
    first = sorted((h for h in held if h.says), key=lambda h: WORST_FIRST.index(h.state))
    shown = [h.says for h in first if h.state == state][:5]
    quiet = f"{name} {monitored.version}: no alarm is open" if alarms else f"{name} {monitored.version}"
    text = "; ".join(shown if state != "OK" else [quiet, *shown])
    counts = {level: sum(a.level == level for a in monitored.open) for level in ("warning", "critical")}
    data = [h.performance for h in held if h.performance]
    data += [f"{level}_alarms={n};;;0" for level, n in counts.items()] if alarms else []
    opened = monitored.open if alarms else ()
    return Checked(name, state, STATES.index(state), one_line(text)[:1000], tuple(data), figures, opened)
