"""What can be drawn of two models' predictions for the judged rows: few numbers, kept on the version card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.records.figures import (
    CalibrationBin,
    CommonConfusion,
    ConfusionCounts,
    Figures,
    PredictionBand,
    ResidualCounts,
    SliceScore,
)
from evermodel.core.stats.curve_points import compute_precision_recall_points, compute_roc_points
from evermodel.core.stats.distributions import wilson_interval
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.row_selection import select_rows

BINS = 10  # of the calibration, equally full
SCORE_BINS = 25
BANDS = 20  # of predicted against true
ERROR_BINS = 40
MOST_CLASSES = 50  # more classes are told by their commonest confusions only
MOST_CONFUSIONS = 20
MOST_SLICES = 60
RESIDUAL_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_DIGITS = 6


def compute_figures(scores: JudgeInput, labels: Sequence[Any] = ()) -> Figures | None:
    """Points, bins and counts that the report draws, for champion and challenger on the new rows.

    ``labels`` are the classes behind the codes. None where a prediction is not finite, or there is no row: such rows
    have no picture; free text has the slices alone.
    At most a few hundred numbers a picture, however many rows; numbers have six digits.
    """
    rows = scores.new
    both = {"champion": rows.champion, "challenger": rows.challenger}
    if not len(rows) or not all(np.isfinite(p).all() for p in (rows.y, *both.values())):
        return None
    if scores.task == "text":
        return Figures(scores.task, scores.shown_metric, len(rows), slices=compare_slices(scores))
    figures = Figures(scores.task, scores.shown_metric, len(rows), slices=compare_slices(scores))
    if scores.task == "regression":
        return dataclasses.replace(
            figures,
            residuals=count_residuals(rows.y, both),
            predicted={model: compute_prediction_bands(rows.y, p) for model, p in both.items()},
        )
    width = both["challenger"].shape[1]
    names = [str(c) for c in labels] if len(labels) == width else [str(i) for i in range(width)]
    y = rows.y.astype(np.int64)
    figures = dataclasses.replace(figures, labels=tuple(names), confusion=count_confusions(y, both))
    if width != 2:  # how sure the model was of its answer, and how often it was right
        bins = {model: calibration_bins(p.argmax(axis=1) == y, p.max(axis=1)) for model, p in both.items()}
        return dataclasses.replace(figures, calibration=bins)
    positive = {model: p[:, 1] for model, p in both.items()}
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    return dataclasses.replace(
        figures,
        roc={model: tuple(map(_numbers, compute_roc_points(y == 1, p))) for model, p in positive.items()},
        precision_recall={
            model: tuple(map(_numbers, compute_precision_recall_points(y == 1, p))) for model, p in positive.items()
        },
        calibration={model: calibration_bins(y == 1, p) for model, p in positive.items()},
        histogram={
            model: {str(c): tuple(np.histogram(np.clip(p[y == c], 0.0, 1.0), bins=edges)[0].tolist()) for c in (0, 1)}
            for model, p in positive.items()
        },  # rows per bin of the stated probability of class 1, by their true class
    )


def compare_slices(scores: JudgeInput) -> tuple[SliceScore, ...]:
    """The metric of both models on each slice of the new rows, with the interval of the difference."""
    compared = []
    for name, inside in list(scores.new.slices.items())[:MOST_SLICES]:
        part: PairedPredictions = select_rows(scores.new, inside)
        if not len(part):
            continue
        c = compare_predictions(scores.shown_metric, part, seed=scores.seed)
        numbers = [_round(v) for v in (c.champion, c.challenger, c.difference, c.low, c.high)]
        compared.append(SliceScore(str(name), numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], c.n))
    return tuple(compared)


def calibration_bins(happened: Array, stated: Array, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Equally full bins of the stated probability: its mean, the share that happened with a 95 % interval, rows."""
    order = np.argsort(stated, kind="stable")
    full = []
    for part in np.array_split(order, min(bins, len(order))):
        n, share = len(part), float(happened[part].mean())
        low, high = wilson_interval(happened[part].sum(), n)
        full.append(CalibrationBin(_round(stated[part].mean()), _round(share), _round(low), _round(high), n))
    return tuple(full)


def count_confusions(y: Array, both: Mapping[str, Array]) -> ConfusionCounts:
    """Counts [true][answer] of both models by the likeliest class; beyond 50 classes only the commonest confusions."""
    k = next(iter(both.values())).shape[1]
    answers = {model: p.argmax(axis=1) for model, p in both.items()}
    counts = {model: np.bincount(y * k + a, minlength=k * k).reshape(k, k) for model, a in answers.items()}
    wrong = sum(counts.values()) * (1 - np.eye(k, dtype=np.int64))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    places = [divmod(int(i), k) for i in worst if wrong.flat[int(i)] > 0]
    common = tuple(CommonConfusion(t, a, **{model: int(c[t, a]) for model, c in counts.items()}) for t, a in places)
    right = {model: int(np.trace(c)) for model, c in counts.items()}
    if k > MOST_CLASSES:
        return ConfusionCounts(right, common)
    return ConfusionCounts(right, common, {model: tuple(map(tuple, c.tolist())) for model, c in counts.items()})


def count_residuals(y: Array, both: Mapping[str, Array]) -> ResidualCounts:
    """Quantiles and a histogram of both models' errors; the outer half percent is counted in the end bins."""
    errors = {model: p - y for model, p in both.items()}
    pooled = np.concatenate(list(errors.values()))
    low, high = np.quantile(pooled, [0.005, 0.995])
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    edges = np.linspace(low, high, ERROR_BINS + 1)
    return ResidualCounts(
        RESIDUAL_LEVELS,
        {model: _numbers(np.quantile(e, RESIDUAL_LEVELS)) for model, e in errors.items()},
        _numbers(edges),
        {model: tuple(np.histogram(np.clip(e, low, high), bins=edges)[0].tolist()) for model, e in errors.items()},
    )


def compute_prediction_bands(y: Array, p: Array, bands: int = BANDS) -> tuple[PredictionBand, ...]:
    """Equally full bands of the prediction: its mean, the true mean, the middle 80 % of the truth, rows."""
    order = np.argsort(p, kind="stable")
    full = []
    for part in np.array_split(order, min(bands, len(order))):
        low, high = np.quantile(y[part], [0.1, 0.9])
        means = _round(p[part].mean()), _round(y[part].mean())
        full.append(PredictionBand(*means, _round(low), _round(high), len(part)))
    return tuple(full)


def _numbers(values: Array) -> tuple[float, ...]:
    return tuple(_round(float(v)) for v in values)


def _round(value: float) -> float:
    """With six digits: a picture shows no more."""
    return float(f"{value:.{_DIGITS}g}")
