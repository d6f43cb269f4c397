"""Small charts as inline SVG: numbers in, markup out. Every text is escaped; colours come from the page's classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evermodel.reports.words import MINUS

Point = tuple[float, float | None]  # None, or NaN: not known


@dataclass(frozen=True)
class Frame:
    """Where numbers lie on the paper: the ranges of both axes, and the plot's size and margins in units of the SVG."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 340.0
    height: float = 236.0
    left: float = 46.0
    right: float = 12.0
    top: float = 10.0
    bottom: float = 38.0

    def px(self, value: float) -> float:
        low, high = self.x
        return self.left + (value - low) / ((high - low) or 1.0) * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        low, high = self.y
        return (
            self.height - self.bottom - (value - low) / ((high - low) or 1.0) * (self.height - self.top - self.bottom)
        )


def svg(frame: Frame, title: str, parts: Iterable[Markup], *, described: str = "", css: str = "chart") -> Markup:
    """One picture with its name for those who do not see it."""
    body = Markup("").join(parts)
    label = f"{title}. {described}" if described else title
    return Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" role="img" aria-label="{}">{}</svg>').format(
        css, short(frame.width), short(frame.height), short(frame.width), label, body
    )


def axes(frame: Frame, x_label: str, y_label: str, *, x_ticks: int = 5, y_ticks: int = 5) -> list[Markup]:
    """A quiet grid, numbers at the ticks, a name along each axis."""
    parts = []
    for value, text in label_ticks(nice_ticks(*frame.y, y_ticks)):
        at = short(frame.py(value))
        parts.append(
            Markup(
                '<path class="grid" d="M{} {}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
            ).format(
                short(frame.left),
                at,
                short(frame.width - frame.right),
                short(frame.left - 6),
                short(frame.py(value) + 3.5),
                text,
            )
        )
    floor = frame.height - frame.bottom
    for value, text in label_ticks(nice_ticks(*frame.x, x_ticks)):
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                short(frame.px(value)), short(floor + 14), text
            )
        )
    middle = (frame.left + frame.width - frame.right) / 2
    upright = (frame.top + floor) / 2
    parts.append(
        Markup('<path class="axis" d="M{} {}H{}"/>').format(frame.left, short(floor), short(frame.width - frame.right))
    )
    parts.append(
        Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            short(middle), short(frame.height - 6), x_label
        )
    )
    parts.append(
        Markup('<text class="name" transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
            short(upright), y_label
        )
    )
    return parts


def line(frame: Frame, points: Sequence[Point], css: str, tip: str = "") -> Markup:
    """A line through the points; where a number is not known the line is broken, never drawn at 0."""
    runs = [list(run) for known, run in itertools.groupby(points, key=is_known_point) if known]
    drawn = "".join("M" + "L".join(_place(frame, p) for p in run) for run in runs)
    return Markup('<path class="line {}" d="{}">{}</path>').format(css, drawn, tooltip(tip)) if drawn else Markup("")


def dots(frame: Frame, points: Sequence[Point], css: str, tips: Sequence[str] = (), radius: float = 3.2) -> Markup:
    """A dot a point, its tooltip with it."""
    made = [
        Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}">{}</circle>').format(
            css, *_place(frame, p).split(), radius, tooltip(tips[i] if i < len(tips) else "")
        )
        for i, p in enumerate(points)
        if is_known_point(p)
    ]
    return Markup("").join(made)


def whiskers(frame: Frame, spans: Sequence[tuple[float, float, float]], css: str) -> Markup:
    """An upright line from low to high at each x."""
    drawn = "".join(
        f"M{short(frame.px(x))} {short(frame.py(low))}V{short(frame.py(high))}"
        for x, low, high in spans
        if is_known_point((low, high))
    )
    return Markup('<path class="whisker {}" d="{}"/>').format(css, drawn)


def band(frame: Frame, spans: Sequence[tuple[float, float, float]], css: str) -> Markup:
    """The area between low and high along x."""
    there = [s for s in spans if is_known_point((s[1], s[2]))]
    if len(there) < 2:
        return Markup("")
    above = [f"{short(frame.px(x))} {short(frame.py(high))}" for x, _, high in there]
    below = [f"{short(frame.px(x))} {short(frame.py(low))}" for x, low, _ in reversed(there)]
    return Markup('<path class="band {}" d="M{}Z"/>').format(css, "L".join([*above, *below]))


def steps(frame: Frame, edges: Sequence[float], heights: Sequence[float], css: str) -> Markup:
    """A histogram as one filled outline standing on 0 (or hanging from it where heights are negative)."""
    if not heights:
        return Markup("")
    ground = short(frame.py(0.0))
    drawn = f"M{short(frame.px(edges[0]))} {ground}" + "".join(
        f"V{short(frame.py(h))}H{short(frame.px(edge))}" for h, edge in zip(heights, edges[1:], strict=True)
    )
    return Markup('<path class="area {}" d="{}V{}Z"/>').format(css, drawn, ground)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, about so many."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(about - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def label_ticks(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Each tick with its text, all with as many digits as the step needs."""
    step = min((b - a for a, b in itertools.pairwise(ticks)), default=1.0)
    largest = max((abs(t) for t in ticks), default=0.0)
    if largest >= 100_000:
        return [(t, f"{t:.3g}".replace("e+0", "e").replace("e+", "e")) for t in ticks]
    digits = min(6, max(0, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 2
    if round(step, digits) != round(step, digits + 1):
        digits += 1
    return [(t, f"{t:,.{digits}f}".replace("-", MINUS)) for t in ticks]


def pad_range(values: Iterable[float | None], share: float = 0.06) -> tuple[float, float]:
    """The range of the known values with some air; (0, 1) where none is known."""
    there = [v for v in values if v is not None and math.isfinite(v)]
    if not there:
        return 0.0, 1.0
    low, high = min(there), max(there)
    air = (high - low) * share or abs(high) * share or 1.0
    return low - air, high + air


def _place(frame: Frame, point: Point) -> str:
    return f"{short(frame.px(point[0]))} {short(frame.py(point[1] or 0.0))}"


def is_known_point(point: Sequence[float | None]) -> bool:
    return all(v is not None and math.isfinite(v) for v in point)


def tooltip(text: str) -> Markup:
    return Markup("<title>{}</title>").format(text) if text else Markup("")


def short(value: float) -> str:
    """A coordinate with one digit: finer is not seen, and the page stays small."""
    return f"{value:.1f}".removesuffix(".0")
