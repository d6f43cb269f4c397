"""A Nagios plugin's answer about a model in service: one line, performance data, a state."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.errors import BadSetting, MissingExtra
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.integrations.samples.check_figures import DECIDING, Figure, compute_figure, list_figures
from evermodel.integrations.samples.model_state import read_monitor_status
from evermodel.monitoring.alarms.alarm_wording import AlarmNotice, build_notices
from evermodel.registry.results import Result

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
WORST_FIRST = ("CRITICAL", "WARNING", "UNKNOWN", "OK")  # a known problem is not hidden by a figure that is not known
LEVELS = {"ok": "OK", "warning": "WARNING", "critical": "CRITICAL", "unknown": "UNKNOWN"}


@dataclass(frozen=True)
class CheckResult(Result):
    """The answer for Nagios: ``exit_code`` 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

    name: str
    state: str
    exit_code: int
    text: str
    performance: tuple[str, ...]  # "auc=0.91;0.8:;0.7:;0;1"
    figures: Mapping[str, float]
    alarms: tuple[AlarmNotice, ...]

    def lines(self) -> list[str]:
        data = " ".join(self.performance)
        return [f"MODEL {self.state} - {self.text}" + (f" | {data}" if data else "")]


@dataclass(frozen=True)
class _Outcome:
    """One figure compared with its thresholds, or one alarm."""

    state: str
    text: str
    performance: str = ""


def check(
    name: str,
    *,
    metric: str | Sequence[str] = (),
    warning: str | Sequence[str] = (),
    critical: str | Sequence[str] = (),
    alarms: bool = True,
    slice: str = "",  # noqa: A002
    registry: str | Path | None = None,
) -> CheckResult:
    """Compare the figures of a model's monitor with thresholds; open alarms count by level unless ``alarms`` is off.

    ``warning``, ``critical``: Nagios ranges, ``RANGE`` for ``metric`` (default: the task's deciding one) or
    ``FIGURE=RANGE``. "0.8:" alerts below 0.8, "3600" above 3600. UNKNOWN: the model was never watched, or has
    no labelled rows yet. Raises NotFound, BadSetting, MissingExtra.

        $ evermodel check churn --warning auc=0.85: --critical auc=0.8: --critical row_age=7200
    """
    require_plugin_library()
    status = read_monitor_status(name, registry)
    if status is None:
        text = f"{name} was never watched; begin with 'evermodel watch {name} DATA'"
        return CheckResult(name, "UNKNOWN", 3, text, (), {}, ())
    metrics = _as_list(metric)
    usual = metrics[0] if metrics else DECIDING.get(status.task, "accuracy")
    limits = _limits(_as_list(warning), _as_list(critical), usual)
    wanted = list(dict.fromkeys([*metrics, *limits])) or [m for m in (usual,) if m in list_figures(status)]
    figures = [compute_figure(status, wanted_name, slice=slice) for wanted_name in wanted]
    outcomes = [_compare(f, *limits.get(f.name, ("", ""))) for f in figures]
    outcomes += [_alarm(n) for n in build_notices(status)] if alarms else []
    return _answer(name, status, outcomes, {f.name: f.value for f in figures}, alarms)


def require_plugin_library() -> None:
    """Raises MissingExtra where nagiosplugin is not installed."""
    if importlib.util.find_spec("nagiosplugin") is None:
        raise MissingExtra.for_package("nagiosplugin", "monitor", "A Nagios check")


def one_line(text: str) -> str:
    """The text without what would end the line or begin the performance data."""
    return " ".join(text.replace("|", "/").split())


def _as_list(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _limits(warning: Sequence[str], critical: Sequence[str], usual: str) -> dict[str, tuple[str, str]]:
    """Figure -> its warning and its critical range, "" where none was given. Raises BadSetting."""
    limits: dict[str, list[str]] = {}
    for place, (option, texts) in enumerate((("warning", warning), ("critical", critical))):
        for text in texts:
            name, equals, range_ = text.rpartition("=")
            check_range(range_ if name or not equals else "", option, text)
            pair = limits.setdefault(name if equals else usual, ["", ""])
            if pair[place]:
                raise BadSetting(f"`{option}` was given twice for {name or usual}: {pair[place]} and {range_}.")
            pair[place] = range_
    return {name: (pair[0], pair[1]) for name, pair in limits.items()}


def check_range(text: str, option: str, argument: str) -> None:
    """Raises BadSetting where ``text`` is no Nagios range; ``argument`` is what the user typed."""
    import nagiosplugin

    try:
        if not text:
            raise ValueError
        nagiosplugin.Range(text)
    except (ValueError, TypeError):
        raise BadSetting(
            f"`{option}` takes a Nagios range, or FIGURE=RANGE. Got {argument!r}.",
            "0.8: alerts below 0.8; 3600 alerts above 3600 (and below 0); @1:2 alerts inside.",
        ) from None


def _compare(figure: Figure, warning: str, critical: str) -> _Outcome:
    import nagiosplugin
    from nagiosplugin.performance import Performance

    if math.isnan(figure.value):
        return _Outcome("UNKNOWN" if warning or critical else "OK", figure.text)
    crossed = [
        (state, text)
        for state, text in (("CRITICAL", critical), ("WARNING", warning))
        if text and not nagiosplugin.Range(text).match(figure.value)
    ]
    shown = f"{figure.value:.0f}" if figure.unit == "s" or figure.value == int(figure.value) else f"{figure.value:.6g}"
    data = str(Performance(figure.name.replace("'", "").replace("=", "_"), shown, figure.unit, warning, critical))
    text = figure.text or f"{figure.name} {shown}"
    return (
        _Outcome(crossed[0][0], f"{text} (outside range {crossed[0][1]})", data)
        if crossed
        else _Outcome("OK", text, data)
    )


def _alarm(notice: AlarmNotice) -> _Outcome:
    alarm = notice.alarm
    text = f"alarm {alarm.kind} of {alarm.subject}: {notice.text}; next: {notice.next_command}"
    return _Outcome(LEVELS[alarm.level], text)


def _answer(
    name: str, status: MonitorStatus, outcomes: Sequence[_Outcome], figures: Mapping[str, float], alarms: bool
) -> CheckResult:
    state = min((h.state for h in outcomes), key=WORST_FIRST.index, default="OK")
    first = sorted((h for h in outcomes if h.text), key=lambda h: WORST_FIRST.index(h.state))
    shown = [h.text for h in first if h.state == state][:5]
    quiet = f"{name} {status.version}: no alarm is open" if alarms else f"{name} {status.version}"
    text = "; ".join(shown if state != "OK" else [quiet, *shown])
    counts = {level: sum(a.level == level for a in status.open) for level in ("warning", "critical")}
    data = [h.performance for h in outcomes if h.performance]
    data += [f"{level}_alarms={n};;;0" for level, n in counts.items()] if alarms else []
    opened = build_notices(status) if alarms else ()
    return CheckResult(name, state, STATES.index(state), one_line(text)[:1000], tuple(data), figures, opened)
