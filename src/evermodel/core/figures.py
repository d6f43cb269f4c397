"""What can be drawn of two models' predictions for the judged rows: few numbers, JSON-able, kept on the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.comparing import compare
from evermodel.core.curve_points import precision_recall_points, roc_points
from evermodel.core.judgement import PairedRows, PairedScores
from evermodel.core.judging import rows_at
from evermodel.core.statistics import normal_quantile
from evermodel.core.table import Array

BINS = 10  # of the calibration, equally full
SCORE_BINS = 25
BANDS = 20  # of predicted against true
ERROR_BINS = 40
MOST_CLASSES = 50  # more classes are told by their commonest confusions only
MOST_CONFUSIONS = 20
MOST_SLICES = 60
RESIDUAL_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
_DIGITS = 6


def figures(scores: PairedScores, labels: Sequence[Any] = ()) -> dict[str, Any]:
    """Points, bins and counts that the report draws, for champion and challenger on the new rows.

    ``labels`` are the classes behind the codes. Empty where a prediction is not finite, or there is no row: such rows
    have no picture. At most a few hundred numbers a picture, however many rows.
    """
    rows = scores.new
    both = {"champion": rows.champion, "challenger": rows.challenger}
    if not len(rows) or not all(np.isfinite(p).all() for p in (rows.y, *both.values())):
        return {}
    found: dict[str, Any] = {"task": scores.task, "metric": scores.metric, "n": len(rows)}
    if scores.task == "regression":
        found |= _of_values(rows.y, both)
    else:
        width = both["challenger"].shape[1]
        names = [str(c) for c in labels] if len(labels) == width else [str(i) for i in range(width)]
        found |= {"labels": names, **_of_classes(rows.y.astype(np.int64), both)}
    found["slices"] = slice_scores(scores)
    rounded: dict[str, Any] = _rounded(found)
    return rounded


def slice_scores(scores: PairedScores) -> list[dict[str, Any]]:
    """The metric of both models on each slice of the new rows, with the interval of the difference."""
    found = []
    for name, inside in list(scores.new.slices.items())[:MOST_SLICES]:
        part: PairedRows = rows_at(scores.new, inside)
        if not len(part):
            continue
        c = compare(scores.metric, part, seed=scores.seed)
        kept = ("champion", "challenger", "difference", "low", "high", "n")
        found.append({"slice": str(name), **{k: getattr(c, k) for k in kept}})
    return found


def _of_classes(y: Array, both: Mapping[str, Array]) -> dict[str, Any]:
    found: dict[str, Any] = {"confusion": confusions(y, both)}
    if next(iter(both.values())).shape[1] == 2:
        found["roc"] = {k: roc_points(y == 1, p[:, 1]) for k, p in both.items()}
        found["precision_recall"] = {k: precision_recall_points(y == 1, p[:, 1]) for k, p in both.items()}
        found["calibration"] = {k: calibration(y == 1, p[:, 1]) for k, p in both.items()}
        found["histogram"] = {k: _score_histogram(y, p[:, 1]) for k, p in both.items()}
    else:  # how sure the model was of its answer, and how often it was right
        found["calibration"] = {k: calibration(p.argmax(axis=1) == y, p.max(axis=1)) for k, p in both.items()}
    return found


def calibration(happened: Array, said: Array, bins: int = BINS) -> list[dict[str, float]]:
    """Equally full bins of the stated probability: its mean, the share that happened with a 95 % interval, rows."""
    order = np.argsort(said, kind="stable")
    found = []
    for part in np.array_split(order, min(bins, len(order))):
        n, share = len(part), float(happened[part].mean())
        low, high = wilson(share, n)
        found.append({"said": float(said[part].mean()), "happened": share, "low": low, "high": high, "n": n})
    return found


def wilson(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share seen in ``n`` rows."""
    z2 = normal_quantile(0.5 + confidence / 2.0) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = float(np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def confusions(y: Array, both: Mapping[str, Array]) -> dict[str, Any]:
    """Counts [true][answer] of both models by the likeliest class; beyond 50 classes only the commonest confusions."""
    k = next(iter(both.values())).shape[1]
    answers = {name: p.argmax(axis=1) for name, p in both.items()}
    counts = {name: np.bincount(y * k + a, minlength=k * k).reshape(k, k) for name, a in answers.items()}
    wrong = sum(counts.values()) * (1 - np.eye(k, dtype=np.int64))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    at = [divmod(int(i), k) for i in worst if wrong.flat[int(i)] > 0]
    top = [{"true": t, "answer": a, **{name: int(c[t, a]) for name, c in counts.items()}} for t, a in at]
    found: dict[str, Any] = {"top": top, "right": {name: int(np.trace(c)) for name, c in counts.items()}}
    return found | ({"counts": counts} if k <= MOST_CLASSES else {})


def _score_histogram(y: Array, p: Array) -> dict[str, Any]:
    """Rows per bin of the stated probability of class 1, by their true class."""
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    return {str(c): np.histogram(np.clip(p[y == c], 0.0, 1.0), bins=edges)[0] for c in (0, 1)}


def _of_values(y: Array, both: Mapping[str, Array]) -> dict[str, Any]:
    errors = {k: p - y for k, p in both.items()}
    pooled = np.concatenate(list(errors.values()))
    low, high = np.quantile(pooled, [0.005, 0.995])
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    edges = np.linspace(low, high, ERROR_BINS + 1)
    counts = {k: np.histogram(np.clip(e, low, high), bins=edges)[0] for k, e in errors.items()}
    return {
        "residuals": {
            "levels": list(RESIDUAL_LEVELS),
            "quantiles": {k: np.quantile(e, RESIDUAL_LEVELS) for k, e in errors.items()},
            "edges": edges,
            "counts": counts,
        },
        "predicted": {k: predicted_against_true(y, p) for k, p in both.items()},
    }


def predicted_against_true(y: Array, p: Array, bands: int = BANDS) -> list[dict[str, float]]:
    """Equally full bands of the prediction: its mean, the true mean, the middle 80 % of the truth, rows."""
    order = np.argsort(p, kind="stable")
    found = []
    for part in np.array_split(order, min(bands, len(order))):
        low, high = np.quantile(y[part], [0.1, 0.9])
        facts = {"predicted": p[part].mean(), "true": y[part].mean(), "low": low, "high": high}
        found.append({**{k: float(v) for k, v in facts.items()}, "n": len(part)})
    return found


def _rounded(value: Any) -> Any:
    """Arrays as lists, numbers with six digits, and what is not known as None: as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    if hasattr(value, "tolist"):
        return _rounded(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
    return value
