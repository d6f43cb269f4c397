"""What a search over hyperparameters or over sizes tried, drawn from the version's card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from markupsafe import Markup

from evermodel.core.model.search_space import parse_dimension
from evermodel.core.records.search_record import PruningRecord, Trial
from evermodel.reports import charts
from evermodel.reports.charts import Frame, Point
from evermodel.reports.words import format_number, is_number

MOST_AXES = 8
PARETO = "Large: the one chosen; hollow: as deployed; the line: none is both cheaper and better."


def history(trials: Sequence[Trial]) -> Markup | None:
    """Each trial's score by its number, and the best so far; those given up early are hollow."""
    scored = [t for t in trials if t.state != "failed"]
    if len(scored) < 2:
        return None
    best, line = float("-inf"), list[Point]()
    for t in scored:
        best = max(best, t.score) if t.state == "whole" else best
        line.append((float(t.number), best if math.isfinite(best) else None))
    frame = Frame((0.0, float(max(t.number for t in scored))), charts.pad_range([t.score for t in scored]))
    parts = charts.axes(frame, "trial", "score")
    parts.append(charts.line(frame, line, "challenger", "best so far"))
    for state, css in (("whole", "challenger"), ("stopped", "neutral")):
        some = [t for t in scored if t.state == state]
        parts.append(charts.dots(frame, [(float(t.number), t.score) for t in some], css, [_tip(t) for t in some]))
    return charts.svg(frame, "Scores of the trials", parts)


def coordinates(trials: Sequence[Trial], space: Mapping[str, Any]) -> Markup | None:
    """Every trial as one line over the hyperparameters; the best fifth in colour, of those not given up early."""
    scored = [t for t in trials if t.state != "failed"]
    names = [n for n in space if all(n in t.values for t in scored)][:MOST_AXES]
    if len(scored) < 3 or len(names) < 2:
        return None
    scored.sort(key=lambda t: (t.state == "whole", t.score))  # the best last, and above the others
    whole = sum(t.state == "whole" for t in scored)
    frame = Frame((0.0, len(names) - 1.0), (0.0, 1.0), width=900.0, left=40.0, right=40.0, bottom=46.0)
    parts = [_axis(frame, at, name, space[name]) for at, name in enumerate(names)]
    good = min(whole, max(1, len(scored) // 5))
    for place, t in enumerate(scored):
        points: list[Point] = [(float(i), _height(space[n], t.values[n])) for i, n in enumerate(names)]
        parts.append(charts.line(frame, points, "challenger" if place >= len(scored) - good else "neutral", _tip(t)))
    return charts.svg(
        frame, "Hyperparameters of every trial", parts, described="The best fifth in colour", css="chart whole"
    )


def pareto(pruning: PruningRecord, what: Literal["latency", "size"]) -> Markup | None:
    """What is left of latency or size (``what``) against the score, for each size that was tried, and as deployed."""
    left: dict[float, float] = {t.ratio: getattr(t, what) for t in pruning.trials}
    there = [t for t in pruning.trials if charts.is_known_point((left[t.ratio], t.score))]
    if not there:
        return None
    base, chosen = pruning.champion_score, pruning.ratio
    highest = max(1.0, *(left[t.ratio] for t in there))
    scores = [t.score for t in there]
    frame = Frame((0.0, highest * 1.08), charts.pad_range([*scores, base]))
    parts = charts.axes(frame, f"{what}, times the champion's", "score on the rows it was chosen by")
    best = sorted(((left[t.ratio], t.score) for t in there), key=lambda p: (p[0], -p[1]))
    front: list[Point] = [p for i, p in enumerate(best) if all(p[1] > q[1] for q in best[:i])]
    parts.append(charts.line(frame, front, "neutral", "no other is both cheaper and better"))
    if is_number(base):
        parts.append(charts.dots(frame, [(1.0, base)], "champion", [f"as deployed: {format_number(base)}"], radius=4.5))
    for t in there:
        is_chosen = t.ratio == chosen
        dot: Point = (left[t.ratio], t.score)
        tip = f"ratio {format_number(t.ratio)}: x{format_number(left[t.ratio], 2)}, {format_number(t.score)}"
        tip += " (chosen)" if is_chosen else ""
        parts.append(
            charts.dots(frame, [dot], "challenger" if is_chosen else "neutral", [tip], 5.0 if is_chosen else 3.2)
        )
    return charts.svg(frame, f"{what.capitalize()} against score", parts, described=PARETO)


def _height(said: Any, value: Any) -> float | None:
    """Where a value stands on its axis, 0 at the foot; None outside of it."""
    if isinstance(said, Mapping):
        low, high, at = float(said["low"]), float(said["high"]), float(value)
        if said.get("log"):
            if at <= 0:
                return 0.0
            low, high, at = math.log(low), math.log(high), math.log(at)
        return min(1.0, max(0.0, (at - low) / ((high - low) or 1.0)))
    places = [i for i, c in enumerate(said) if c == value]
    return places[0] / max(len(said) - 1, 1) if places else None


def _axis(frame: Frame, at: int, name: str, said: Any) -> Markup:
    d = parse_dimension(name, said, "choice" if not isinstance(said, Mapping) else "float")
    ends = (d.low, d.high) if d.kind != "choice" else (d.choices[0], d.choices[-1])
    x = charts.short(frame.px(float(at)))
    top, foot = charts.short(frame.py(1.0)), charts.short(frame.py(0.0))
    shown = [f"{e:g}" if isinstance(e, float) else str(e) for e in ends]
    return Markup(
        '<path class="grid" d="M{x} {top}V{foot}"/><text class="tick" x="{x}" y="{low_at}" text-anchor="middle">{low}'
        '</text><text class="tick" x="{x}" y="{high_at}" text-anchor="middle">{high}</text>'
        '<text class="name" x="{x}" y="{name_at}" text-anchor="middle">{name}</text>'
    ).format(
        x=x,
        top=top,
        foot=foot,
        low=shown[0],
        high=shown[1],
        name=name,
        low_at=charts.short(frame.py(0.0) + 13),
        high_at=charts.short(frame.py(1.0) - 3),
        name_at=charts.short(frame.height - 10),
    )


def _tip(trial: Trial) -> str:
    values = ", ".join(f"{k} {format_number(v) if isinstance(v, float) else v}" for k, v in trial.values.items())
    note = f" ({trial.note})" if trial.note else ""
    return f"trial {trial.number}: {format_number(trial.score)}{note}; {values}"
