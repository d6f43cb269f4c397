"""Pictures small enough for a table's cell: a difference with its interval, a bar, a column then and now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from evermodel.core.records.data_profile import ColumnProfile
from evermodel.reports import charts
from evermodel.reports.charts import Frame, short
from evermodel.reports.words import is_number, percent

DENSITY_BINS = 24
MOST_CATEGORIES = 6


def whisker(gain: float | None, low: float | None, high: float | None, margin: float | None, reach: float) -> Markup:
    """The gain as a dot with its interval against 0 and the margin, right is better; filled where 0 is ruled out.

    ``reach`` is the largest gain or loss the scale holds; a whisker that leaves it ends in an arrow.
    """
    frame = Frame((-reach, reach), (0.0, 1.0), width=180.0, height=22.0, left=5.0, right=5.0, top=0.0, bottom=0.0)
    parts = []
    if margin is not None and 0 < margin < reach:
        left, zero = frame.px(-margin), frame.px(0.0)
        parts.append(
            Markup('<rect class="margin" x="{}" y="3" width="{}" height="16"/>').format(short(left), short(zero - left))
        )
    parts.append(Markup('<path class="axis" d="M{} 1V21"/>').format(short(frame.px(0.0))))
    if is_number(low) and is_number(high):
        a, b = sorted((float(low or 0.0), float(high or 0.0)))
        ends = [short(frame.px(min(max(v, -reach), reach))) for v in (a, b)]
        drawn = f"M{ends[0]} 11H{ends[1]}" + "".join(
            f"M{end} 7v8" if abs(v) <= reach else f"M{end} 11l{4 if v < 0 else -4} -4m0 8l{-4 if v < 0 else 4} -4"
            for v, end in zip((a, b), ends, strict=True)
        )
        parts.append(Markup('<path class="line challenger" d="{}"/>').format(drawn))
    if is_number(gain):
        sure = is_number(low) and is_number(high) and (float(low or 0.0) > 0) == (float(high or 0.0) > 0)
        at = short(frame.px(min(max(float(gain or 0.0), -reach), reach)))
        css = "full" if sure else "hollow"
        parts.append(Markup('<circle class="mark {}" cx="{}" cy="11" r="4.2"/>').format(css, at))
    said = (
        "no interval" if not is_number(low) else "beyond doubt" if parts and "full" in parts[-1] else "not beyond doubt"
    )
    return charts.svg(frame, "Difference with its interval, right is better", parts, described=said, css="small")


def bar(share: float, css: str = "neutral") -> Markup:
    """A bar of ``share`` (0 to 1) of its cell."""
    width = short(100.0 * min(max(share, 0.0), 1.0))
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="sheet" width="100" height="8"/><rect class="area {}" width="{}" height="8"/></svg>'
    ).format(css, width)


def then_and_now(old: ColumnProfile, new: ColumnProfile, column: str) -> Markup | None:
    """How a column was spread and how it is: two outlines for numbers, pairs of bars for categories."""
    if old.top is not None and new.top is not None:
        return _categories(old, new, column)
    if len(old.quantiles) < 3 or len(new.quantiles) < 3:
        return None
    was, now = np.asarray(old.quantiles), np.asarray(new.quantiles)
    pooled = np.concatenate([was[2:-2], now[2:-2]])
    low, high = float(pooled.min()), float(pooled.max())
    if not high > low:
        return None
    edges = np.linspace(low, high, DENSITY_BINS + 1)
    counts = [np.histogram(np.clip(q, low, high), bins=edges)[0] / len(q) for q in (was, now)]
    most = float(max(c.max() for c in counts))
    frame = Frame((low, high), (0.0, most), width=220.0, height=96.0, left=8.0, right=8.0, top=4.0, bottom=18.0)
    parts = [
        charts.steps(frame, edges.tolist(), c.tolist(), who)
        for c, who in zip(counts, ("champion", "challenger"), strict=True)
    ]
    parts += _ends(frame, low, high)
    return charts.svg(frame, f"{column}, then and now", parts)


def _ends(frame: Frame, low: float, high: float) -> list[Markup]:
    ticks = charts.label_ticks(charts.nice_ticks(low, high, 4))
    return [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            short(frame.px(value)), short(frame.height - 4), text
        )
        for value, text in ticks
        if frame.left + 8 < frame.px(value) < frame.width - frame.right - 8
    ]


def _categories(old: ColumnProfile, new: ColumnProfile, column: str) -> Markup | None:
    shares = [_shares(p) for p in (old, new)]
    names = sorted({*shares[0], *shares[1]}, key=lambda n: -abs(shares[1].get(n, 0.0) - shares[0].get(n, 0.0)))
    names = names[:MOST_CATEGORIES]
    if not names:
        return None
    most = max(s.get(n, 0.0) for s in shares for n in names) or 1.0
    height = 6.0 + 15.0 * len(names)
    frame = Frame((0.0, most), (0.0, 1.0), width=220.0, height=height, left=88.0, right=8.0, top=0.0, bottom=0.0)
    parts = []
    for i, name in enumerate(names):
        y = 3 + 15 * i
        parts.append(
            Markup('<text class="tick" x="84" y="{}" text-anchor="end">{}</text>').format(y + 10, clip_text(name))
        )
        for share, who, at in ((shares[0], "champion", y + 1), (shares[1], "challenger", y + 6.5)):
            part = share.get(name, 0.0)
            parts.append(
                Markup('<rect class="area {}" x="88" y="{}" width="{}" height="5">{}</rect>').format(
                    who, at, short(frame.px(part) - 88), charts.tooltip(f"{name}: {percent(part)}")
                )
            )
    return charts.svg(frame, f"{column}, then and now", parts)


def _shares(profile: ColumnProfile) -> dict[str, float]:
    top = profile.top or {}
    whole = (sum(top.values()) + profile.others) or 1
    return {category: n / whole for category, n in top.items()}


def clip_text(text: str, most: int = 16) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def reach_of(values: Sequence[float | None]) -> float:
    """The scale that holds all known values, with some air; 1 where none is known."""
    return 1.08 * max((abs(v) for v in values if v is not None and is_number(v)), default=0.0) or 1.0
