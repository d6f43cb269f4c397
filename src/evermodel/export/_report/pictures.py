"""The larger pictures: learning curves, ROC, calibration, confusion, residuals, what moved. Facts in, markup out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evermodel.export._report import charts
from evermodel.export._report.charts import Frame, Point
from evermodel.export._report.words import count, number, percent

BOTH = ("champion", "challenger")
SHADES = 5
SQUARE = {"width": 300.0, "height": 290.0}


def learning_curves(curves: Sequence[Mapping[str, Any]], what: str) -> list[tuple[str, Markup]]:
    """A drawing for each member, with its name, "" for a single model: all on one scale, epochs counted anew."""
    members: dict[str, list[Mapping[str, Any]]] = {}
    for e in curves:
        members.setdefault(str(e.get("member") or ""), []).append(e)
    drawn = []
    for member, epochs in members.items():
        first = 0.0 if len(members) == 1 else float(epochs[0]["number"]) - 1.0
        drawing = learning_curve([{**e, "number": float(e["number"]) - first} for e in epochs], what, curves)
        if drawing is not None:
            drawn.append((member, drawing))
    return drawn


def learning_curve(
    curves: Sequence[Mapping[str, Any]], what: str, on_scale_of: Sequence[Mapping[str, Any]] = ()
) -> Markup | None:
    """``what`` ("loss" or "score") over epochs, on training rows and on the judged rows; None for fewer than two."""
    training: list[Point] = [(float(e["number"]), e.get(what)) for e in curves]
    watched: list[Point] = [(float(e["number"]), e.get(f"validation_{what}")) for e in curves]
    there = [p for p in (*training, *watched) if charts.known_point(p)]
    if len({x for x, _ in there}) < 2:
        return None
    ends = (min(x for x, _ in there), max(x for x, _ in there))
    heights = [e.get(key) for e in (on_scale_of or curves) for key in (what, f"validation_{what}")]
    frame = Frame(ends, charts.padded(heights))
    parts = charts.axes(frame, "epoch", what)
    parts.append(charts.line(frame, training, "neutral", f"{what} on training rows"))
    parts.append(charts.line(frame, watched, "challenger", f"{what} on the judged rows, never trained on"))
    last = [p[-1] for p in (training, watched) if p and charts.known_point(p[-1])]
    parts.append(charts.dots(frame, last, "end", [f"epoch {x:g}: {number(y)}" for x, y in last]))
    return charts.svg(frame, f"{what} of each epoch", parts)


def roc(facts: Mapping[str, Any]) -> Markup | None:
    """Both ROC curves."""
    return _curves(facts, "ROC curve", "share of negatives called positive", "share of positives found", diagonal=True)


def precision_recall(facts: Mapping[str, Any]) -> Markup | None:
    """Both precision-recall curves."""
    return _curves(facts, "Precision and recall", "share of positives found (recall)", "precision", diagonal=False)


def _curves(facts: Mapping[str, Any], title: str, x: str, y: str, *, diagonal: bool) -> Markup | None:
    if not any(facts.get(who) for who in BOTH):
        return None
    frame = Frame((0.0, 1.0), (0.0, 1.0), **SQUARE)
    parts = charts.axes(frame, x, y)
    if diagonal:
        parts.append(charts.line(frame, [(0.0, 0.0), (1.0, 1.0)], "guide", "chance"))
    parts += [charts.line(frame, [_point(p) for p in facts.get(who) or ()], who, who) for who in BOTH]
    return charts.svg(frame, title, parts, described="Champion dashed, challenger solid")


def calibration(facts: Mapping[str, Sequence[Mapping[str, float]]], *, binary: bool) -> Markup | None:
    """What was said against what happened, both models, with the interval of the challenger's bins."""
    if not any(facts.get(who) for who in BOTH):
        return None
    frame = Frame((0.0, 1.0), (0.0, 1.0), **SQUARE)
    x = "probability stated" if binary else "probability of the answer given"
    parts = charts.axes(frame, x, "share that happened" if binary else "share that was right")
    parts.append(charts.line(frame, [(0.0, 0.0), (1.0, 1.0)], "guide", "as stated, so it happened"))
    for who in BOTH:
        bins = facts.get(who) or ()
        points = [(b["said"], b["happened"]) for b in bins]
        tips = [
            f"{who}: stated {percent(b['said'])}, happened {percent(b['happened'])} of {count(b['n'])} rows"
            for b in bins
        ]
        if who == "challenger":
            parts.append(charts.whiskers(frame, [(b["said"], b["low"], b["high"]) for b in bins], who))
        parts += [charts.line(frame, points, who), charts.dots(frame, points, who, tips)]
    return charts.svg(frame, "Calibration", parts, described="On the diagonal, probabilities mean what they say")


def score_histogram(facts: Mapping[str, Sequence[float]], who: str, labels: Sequence[str]) -> Markup | None:
    """Rows by stated probability: those of class 1 upwards, of class 0 downwards, each on its own scale."""
    shares = [[n / (sum(facts.get(c) or ()) or 1) for n in facts.get(c) or ()] for c in ("0", "1")]
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


def residuals(facts: Mapping[str, Any]) -> Markup | None:
    """How far both models were off, as two outlines over one another."""
    edges: list[float] = list(facts.get("edges") or ())
    counts: Mapping[str, Sequence[float]] = facts.get("counts") or {}
    if len(edges) < 2 or not counts:
        return None
    most = max((max(c) for c in counts.values() if c), default=1) or 1
    frame = Frame((edges[0], edges[-1]), (0.0, most * 1.05))
    parts = charts.axes(frame, "prediction minus truth", "rows")
    parts += [charts.steps(frame, edges, counts.get(who) or (), who) for who in BOTH]
    zero: list[Point] = [(0.0, 0.0), (0.0, most * 1.05)]
    parts.append(charts.line(frame, zero, "guide", "no error"))
    return charts.svg(frame, "Errors of both models", parts, described="Outer half percent gathered in the end bins")


def predicted_against_true(facts: Mapping[str, Sequence[Mapping[str, float]]]) -> Markup | None:
    """The true mean for each band of predictions, both models; the challenger's middle 80 % behind."""
    every = [v for who in BOTH for b in facts.get(who) or () for v in (b["predicted"], b["true"], b["low"], b["high"])]
    if not every:
        return None
    ends = charts.padded(every, 0.02)
    frame = Frame(ends, ends, **SQUARE)
    parts = charts.axes(frame, "predicted", "true")
    new = facts.get("challenger") or ()
    parts.append(charts.band(frame, [(b["predicted"], b["low"], b["high"]) for b in new], "challenger"))
    parts.append(charts.line(frame, [(ends[0], ends[0]), (ends[1], ends[1])], "guide", "as predicted, so it was"))
    for who in BOTH:
        bands = facts.get(who) or ()
        points = [(b["predicted"], b["true"]) for b in bands]
        tips = [
            f"{who}: predicted {number(b['predicted'])}, true {number(b['true'])}, {count(b['n'])} rows" for b in bands
        ]
        parts += [charts.line(frame, points, who), charts.dots(frame, points, who, tips, 2.6)]
    described = "Band: the middle 80 percent of the truth for the challenger's predictions"
    return charts.svg(frame, "Predicted against true", parts, described=described)


def _point(pair: Sequence[float]) -> Point:
    return float(pair[0]), float(pair[1])
