"""The larger pictures: learning curves, ROC, calibration, confusion, residuals. Records in, markup out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from evermodel.core.records.figures import CalibrationBin, Points, PredictionBand, ResidualCounts
from evermodel.core.records.learning_curve import Epoch
from evermodel.reports import charts
from evermodel.reports.charts import Frame, Point
from evermodel.reports.words import count, format_number, percent

BOTH = ("champion", "challenger")
SHADES = 5
SQUARE = {"width": 300.0, "height": 290.0}


def learning_curves(curve: Sequence[Epoch], what: Literal["loss", "score"]) -> list[tuple[str, Markup]]:
    """A drawing for each member, with its name, "" for a single model: all on one scale, epochs counted anew."""
    members: dict[str, list[Epoch]] = {}
    for epoch in curve:
        members.setdefault(epoch.member, []).append(epoch)
    drawings = []
    for member, epochs in members.items():
        before = 0 if len(members) == 1 else epochs[0].number - 1
        renumbered = [dataclasses.replace(epoch, number=epoch.number - before) for epoch in epochs]
        drawing = learning_curve(renumbered, what, curve)
        if drawing is not None:
            drawings.append((member, drawing))
    return drawings


def learning_curve(
    curve: Sequence[Epoch], what: Literal["loss", "score"], on_scale_of: Sequence[Epoch] = ()
) -> Markup | None:
    """``what`` ("loss" or "score") over epochs, on training rows and on the judged rows; None for fewer than two."""
    training: list[Point] = [(float(e.number), getattr(e, what)) for e in curve]
    watched: list[Point] = [(float(e.number), getattr(e, f"validation_{what}")) for e in curve]
    there = [p for p in (*training, *watched) if charts.is_known_point(p)]
    if len({x for x, _ in there}) < 2:
        return None
    ends = (min(x for x, _ in there), max(x for x, _ in there))
    heights = [getattr(e, key) for e in (on_scale_of or curve) for key in (what, f"validation_{what}")]
    frame = Frame(ends, charts.pad_range(heights))
    parts = charts.axes(frame, "epoch", what)
    parts.append(charts.line(frame, training, "neutral", f"{what} on training rows"))
    parts.append(charts.line(frame, watched, "challenger", f"{what} on the judged rows, never trained on"))
    last = [p[-1] for p in (training, watched) if p and charts.is_known_point(p[-1])]
    parts.append(charts.dots(frame, last, "end", [f"epoch {x:g}: {format_number(y)}" for x, y in last]))
    return charts.svg(frame, f"{what} of each epoch", parts)


def roc(curves: Mapping[str, Points]) -> Markup | None:
    """Both ROC curves."""
    return _curves(curves, "ROC curve", "share of negatives called positive", "share of positives found", diagonal=True)


def precision_recall(curves: Mapping[str, Points]) -> Markup | None:
    """Both precision-recall curves."""
    return _curves(curves, "Precision and recall", "share of positives found (recall)", "precision", diagonal=False)


def _curves(curves: Mapping[str, Points], title: str, x: str, y: str, *, diagonal: bool) -> Markup | None:
    if not any(curves.get(who) for who in BOTH):
        return None
    frame = Frame((0.0, 1.0), (0.0, 1.0), **SQUARE)
    parts = charts.axes(frame, x, y)
    if diagonal:
        parts.append(charts.line(frame, [(0.0, 0.0), (1.0, 1.0)], "guide", "chance"))
    parts += [charts.line(frame, [_point(p) for p in curves.get(who, ())], who, who) for who in BOTH]
    return charts.svg(frame, title, parts, described="Champion dashed, challenger solid")


def calibration(by_model: Mapping[str, Sequence[CalibrationBin]], *, binary: bool) -> Markup | None:
    """Stated probability against the share that happened, both models, with intervals of the challenger's bins."""
    if not any(by_model.get(who) for who in BOTH):
        return None
    frame = Frame((0.0, 1.0), (0.0, 1.0), **SQUARE)
    x = "probability stated" if binary else "probability of the answer given"
    parts = charts.axes(frame, x, "share that happened" if binary else "share that was right")
    parts.append(charts.line(frame, [(0.0, 0.0), (1.0, 1.0)], "guide", "as stated, so it happened"))
    for who in BOTH:
        bins = by_model.get(who, ())
        points: list[Point] = [(b.stated, b.happened) for b in bins]
        tips = [f"{who}: stated {percent(b.stated)}, happened {percent(b.happened)} of {count(b.n)} rows" for b in bins]
        if who == "challenger":
            parts.append(charts.whiskers(frame, [(b.stated, b.low, b.high) for b in bins], who))
        parts += [charts.line(frame, points, who), charts.dots(frame, points, who, tips)]
    return charts.svg(frame, "Calibration", parts, described="On the diagonal, probabilities mean what they say")


def score_histogram(counts: Mapping[str, Sequence[int]], who: str, labels: Sequence[str]) -> Markup | None:
    """Rows by stated probability: those of class 1 upwards, of class 0 downwards, each on its own scale."""
    shares = [[n / (sum(counts.get(c, ())) or 1) for n in counts.get(c, ())] for c in ("0", "1")]
    if not shares[0] or not shares[1]:
        return None
    shares = [[s / (max(half) or 1.0) for s in half] for half in shares]  # each half on its own scale
    frame = Frame((0.0, 1.0), (-1.0, 1.0), width=300.0, height=170.0, left=16.0)
    edges = [i / len(shares[0]) for i in range(len(shares[0]) + 1)]
    parts = charts.axes(frame, f"probability of {labels[1]}, by the {who}", "", y_ticks=1)
    parts.append(charts.steps(frame, edges, shares[1], who))
    parts.append(charts.steps(frame, edges, [-s for s in shares[0]], "neutral"))
    for text, at in ((labels[1], 0.8), (labels[0], -0.8)):
        parts.append(
            Markup('<text class="inset" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                charts.short(frame.px(0.5)), charts.short(frame.py(at) + 4), text
            )
        )
    return charts.svg(frame, f"How the {who} tells the classes apart", parts)


def confusion_grid(counts: Sequence[Sequence[int]], who: str, labels: Sequence[str]) -> Markup:
    """The whole matrix of many classes: rows are the truth, columns the answers, darker a larger share of the row."""
    k = len(counts)
    cell = 280.0 / k
    shades: list[list[str]] = [[] for _ in range(SHADES)]
    wrong: list[list[str]] = [[] for _ in range(SHADES)]
    for i, row in enumerate(counts):
        whole = sum(row) or 1
        for j, n in enumerate(row):
            if n:
                level = min(SHADES - 1, int(SHADES * n / whole))
                square = (
                    f"M{charts.short(24 + j * cell)} {charts.short(4 + i * cell)}h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
                )
                (shades if i == j else wrong)[level].append(square)
    frame = Frame((0, 1), (0, 1), width=308.0, height=308.0)
    parts = [Markup('<rect class="sheet" x="24" y="4" width="280" height="280"/>')]
    for kind, levels in (("right", shades), ("wrong", wrong)):
        parts += [
            Markup('<path class="{} s{}" d="{}"/>').format(kind, level, "".join(squares))
            for level, squares in enumerate(levels)
            if squares
        ]
    parts.append(Markup('<text class="name" x="164" y="301" text-anchor="middle">answer given</text>'))
    parts.append(
        Markup('<text class="name" transform="translate(15 144) rotate(-90)" text-anchor="middle">true class</text>')
    )
    return charts.svg(
        frame, f"Confusion of {k} classes by the {who}", parts, described=f"from {labels[0]} to {labels[-1]}"
    )


def residuals(errors: ResidualCounts | None) -> Markup | None:
    """How far both models were off, as two outlines over one another."""
    if errors is None:
        return None
    edges, counts = list(errors.edges), errors.counts
    most = max((max(c) for c in counts.values() if c), default=1) or 1
    frame = Frame((edges[0], edges[-1]), (0.0, most * 1.05))
    parts = charts.axes(frame, "prediction minus truth", "rows")
    parts += [charts.steps(frame, edges, counts.get(who, ()), who) for who in BOTH]
    zero: list[Point] = [(0.0, 0.0), (0.0, most * 1.05)]
    parts.append(charts.line(frame, zero, "guide", "no error"))
    return charts.svg(frame, "Errors of both models", parts, described="Outer half percent gathered in the end bins")


def draw_predicted_against_true(by_model: Mapping[str, Sequence[PredictionBand]]) -> Markup | None:
    """The true mean for each band of predictions, both models; the challenger's middle 80 % behind."""
    every = [v for who in BOTH for b in by_model.get(who, ()) for v in (b.predicted, b.true, b.low, b.high)]
    if not every:
        return None
    ends = charts.pad_range(every, 0.02)
    frame = Frame(ends, ends, **SQUARE)
    parts = charts.axes(frame, "predicted", "true")
    new = by_model.get("challenger", ())
    parts.append(charts.band(frame, [(b.predicted, b.low, b.high) for b in new], "challenger"))
    parts.append(charts.line(frame, [(ends[0], ends[0]), (ends[1], ends[1])], "guide", "as predicted, so it was"))
    for who in BOTH:
        bands = by_model.get(who, ())
        points: list[Point] = [(b.predicted, b.true) for b in bands]
        tips = [
            f"{who}: predicted {format_number(b.predicted)}, true {format_number(b.true)}, {count(b.n)} rows"
            for b in bands
        ]
        parts += [charts.line(frame, points, who), charts.dots(frame, points, who, tips, 2.6)]
    described = "Band: the middle 80 percent of the truth for the challenger's predictions"
    return charts.svg(frame, "Predicted against true", parts, described=described)


def _point(pair: Sequence[float]) -> Point:
    return float(pair[0]), float(pair[1])
