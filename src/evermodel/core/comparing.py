"""Compares both models on the same rows by one metric, with the interval of the difference.

A metric's file offers a function of its name, HIGHER_IS_BETTER, TASKS, LABEL and MARGIN_UNIT; where it can,
``sums(y, p) -> (n, s)`` with ``of_sums((…, s)) -> (…)`` (fast bootstrap) or ``influence(y, p) -> (n,)`` (DeLong).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core import plugs, resampling
from evermodel.core.errors import BadData
from evermodel.core.judgement import Comparison, PairedRows
from evermodel.core.statistics import difference_interval, mcnemar, normal_quantile, t_quantile, t_tail

NAN = float("nan")
DEFAULT_METRIC = {
    "binary": "auc",  # every row counts, no threshold to choose, and rare positives do not hide behind the many
    "multiclass": "accuracy",  # exact for few rows (McNemar), and defined where a class is missing
    "regression": "r2",  # without a unit; on the same rows it orders models as the squared error does
}
DEFAULT_MARGIN = {"points": 1.0, "% of the loss": 2.0}
SLOW_RESAMPLES = 400  # for metrics that need all rows again for each resample


def compare(
    metric: str, rows: PairedRows, /, *, confidence: float = 0.95, seed: int = 0, resamples: int | None = None,
    lean: float = 0.0,
) -> Comparison:  # fmt: skip
    """Champion and challenger on the same rows: both values, challenger - champion, its two-sided interval and p value.

    Accuracy: exact McNemar and Tango's interval; AUC: DeLong (summed by group where rows hang together); else, and for
    accuracy under groups, the paired bootstrap, groups drawn whole. Rows of a series: give ``resampling.stretches(n)``
    as groups. What the rows do not determine is NaN. ``lean``: see ``margin_lean``. Raises BadData where predictions
    are not finite.
    """
    return compare_by(
        plugs.module("metrics", metric), rows, confidence=confidence, seed=seed, resamples=resamples, lean=lean
    )


def compare_by(
    plug: Any, rows: PairedRows, /, *, confidence: float = 0.95, seed: int = 0, resamples: int | None = None,
    lean: float = 0.0,
) -> Comparison:  # fmt: skip
    """The same with the metric's module itself, installed or not."""
    metric = plug.__name__.rpartition(".")[2]
    score = getattr(plug, metric)
    rows = _in_order(rows)
    champion, challenger = score(rows.y, rows.champion), score(rows.y, rows.challenger)
    kept: dict[str, Any] = {"metric": metric, "n": len(rows), "higher_is_better": plug.HIGHER_IS_BETTER}
    kept |= {"confidence": confidence, "champion": champion, "challenger": challenger}
    if not (math.isfinite(champion) and math.isfinite(challenger)):
        return Comparison(difference=NAN, low=NAN, high=NAN, method="undefined on these rows", **kept)
    if metric == "accuracy" and rows.groups is None:
        found = _mcnemar(plug, rows, confidence)
    elif hasattr(plug, "influence"):
        found = _delong(plug, rows, challenger - champion, confidence)
    else:
        found = _bootstrap(plug, score, rows, challenger - champion, confidence, (seed, resamples, lean))
    return Comparison(**{"difference": challenger - champion, **found}, **kept)


def margin_in_units(metric: str, margin: float | None, champion: float) -> float:
    """The margin in the metric's own unit, from points (hundredths) or, for losses and R2, percent of the loss.

    None is the default: 1 point, or 2 % of the champion's loss (for R2 of 1 - R2).
    """
    unit = plugs.module("metrics", metric).MARGIN_UNIT
    size = DEFAULT_MARGIN[unit] if margin is None else margin
    if unit == "points":
        return size / 100.0
    higher = plugs.module("metrics", metric).HIGHER_IS_BETTER
    return size / 100.0 * abs(1.0 - champion if higher else champion)


def margin_lean(metric: str, margin: float | None) -> float:
    """How far a margin grows with the champion's score: m of a margin of m times its loss, 0 of one in points.

    A champion that was unlucky on these rows makes the challenger look better and the margin wider at once. Holding
    challenger - (1 + m) champion against its own scatter counts that once (R2: 5.4 % instead of 5 % passed without).
    """
    unit = plugs.module("metrics", metric).MARGIN_UNIT
    return 0.0 if unit == "points" else (DEFAULT_MARGIN[unit] if margin is None else margin) / 100.0


def pooled(now: Comparison, earlier: Sequence[Comparison], decay: float = 0.7) -> Comparison:
    """Mean difference of this and former updates, each weighing 1 / its variance, times ``decay`` per update of age.

    ``earlier`` is newest first, of the same recipe and metric. It speaks of the recipe, not of the model at hand.
    """
    usable = [now, *(c for c in earlier if c.metric == now.metric)]
    pairs = [(c, age) for age, c in enumerate(usable) if c.standard_error > 0 and math.isfinite(c.difference)]
    if not pairs or pairs[0][0] is not now:
        return now
    weights = np.array([decay**age / c.standard_error**2 for c, age in pairs])
    variances = np.array([c.standard_error**2 for c, _ in pairs])
    difference = float(weights @ np.array([c.difference for c, _ in pairs]) / weights.sum())
    error = float(np.sqrt((weights**2 * variances).sum()) / weights.sum())
    reach = normal_quantile(0.5 + now.confidence / 2.0) * error
    return Comparison(
        now.metric, now.champion, now.challenger, difference, difference - reach, difference + reach,
        sum(c.n for c, _ in pairs), now.higher_is_better, f"pooled over {len(pairs)} updates", now.confidence, error,
        t_tail(difference / error, 10**6),
    )  # fmt: skip


def _in_order(rows: PairedRows) -> PairedRows:
    """The rows in an order that depends neither on how they came nor on which model is which."""
    n = len(rows)
    shapes = {np.shape(rows.y)[:1], np.shape(rows.champion)[:1], np.shape(rows.challenger)[:1]}
    if n == 0 or shapes != {(n,)} or np.shape(rows.champion) != np.shape(rows.challenger):
        raise BadData(
            "Both models must have predicted the same rows, at least one. Got "
            f"{n} labels, predictions {np.shape(rows.champion)} and {np.shape(rows.challenger)}."
        )
    a = np.asarray(rows.champion, dtype=np.float64).reshape(n, -1)
    b = np.asarray(rows.challenger, dtype=np.float64).reshape(n, -1)
    order = np.lexsort((np.abs(a - b).sum(axis=1), (a + b)[:, -1], rows.y))
    groups = None if rows.groups is None else rows.groups[order]
    return PairedRows(rows.y[order], rows.champion[order], rows.challenger[order], groups)


def _mcnemar(plug: Any, rows: PairedRows, confidence: float) -> dict[str, Any]:
    was, now = plug.per_row(rows.y, rows.champion), plug.per_row(rows.y, rows.challenger)
    won, lost, n = int((now > was).sum()), int((now < was).sum()), len(rows)
    low, high = difference_interval(won, lost, n, confidence)
    error = math.sqrt(max(0.0, won + lost - (won - lost) ** 2 / n)) / n
    return {"difference": (won - lost) / n, "low": low, "high": high, "method": "McNemar", "standard_error": error,
            "p_value": mcnemar(won, lost)}  # fmt: skip


def _delong(plug: Any, rows: PairedRows, difference: float, confidence: float) -> dict[str, Any]:
    codes, g = resampling.group_codes(rows.groups, len(rows))
    excess = plug.influence(rows.y, rows.challenger) - plug.influence(rows.y, rows.champion)
    smallest = int(np.unique(rows.y, return_counts=True)[1].min())
    if rows.groups is None:
        error, degrees, method = (
            float(np.sqrt((excess**2).sum())),
            smallest - 1,
            "DeLong",
        )  # the scarcer class rules the error
    else:
        summed = resampling.added(excess[:, None], codes, g)[:, 0]
        error = float(np.sqrt((summed**2).sum() * g / max(1, g - 1)))
        degrees, method = min(g - 1, smallest - 1), f"DeLong over {g} groups"
    same = bool((rows.champion == rows.challenger).all())
    found = _t_interval(difference, error, degrees, confidence, method)
    if error == 0.0 and not same:  # no scatter seen is not no scatter: the score bound for a share never seen
        z2 = normal_quantile(0.5 + confidence / 2.0) ** 2
        found |= {"low": difference - z2 / (smallest + z2), "high": difference + z2 / (smallest + z2), "p_value": 1.0}
    return found


def _bootstrap(
    plug: Any, score: Any, rows: PairedRows, difference: float, confidence: float,
    drawing: tuple[int, int | None, float],
) -> dict[str, Any]:  # fmt: skip
    seed, resamples, lean = drawing
    codes, g = resampling.group_codes(rows.groups, len(rows))
    if hasattr(plug, "sums"):
        sums = [resampling.added(plug.sums(rows.y, p), codes, g) for p in (rows.champion, rows.challenger)]
        drawn = resampling.differences_of_sums(
            (sums[0], sums[1]), plug.of_sums, resamples or resampling.RESAMPLES, seed, lean
        )
    else:
        both = (rows.champion, rows.challenger)
        drawn = resampling.differences_of_rows(
            lambda w: (score(rows.y, both[0], weight=w), score(rows.y, both[1], weight=w)),
            codes, g, resamples or SLOW_RESAMPLES, seed, lean,
        )  # fmt: skip
    defined = drawn[np.isfinite(drawn)]
    unsure = g < 2 or len(defined) < 0.9 * len(
        drawn
    )  # mostly undefined when drawn again: no interval, not a narrow one
    error = NAN if unsure else float(defined.std(ddof=1) * math.sqrt(g / (g - 1)))
    method = "paired bootstrap" if rows.groups is None else f"paired bootstrap of {g} groups"
    return _t_interval(difference, error, g - 1, confidence, method)


def _t_interval(difference: float, error: float, degrees: int, confidence: float, method: str) -> dict[str, Any]:
    """Symmetric, so that swapping the models mirrors it; Student's t, since few groups vary more than they show."""
    if not math.isfinite(error) or degrees < 1:
        return {"low": NAN, "high": NAN, "method": method, "standard_error": NAN, "p_value": NAN}
    reach = t_quantile(0.5 + confidence / 2.0, degrees) * error
    p = t_tail(difference / error, degrees) if error > 0 else (1.0 if difference == 0 else 0.0)
    return {"low": difference - reach, "high": difference + reach, "method": method, "standard_error": error,
            "p_value": p}  # fmt: skip


def predicted(earlier: Sequence[Comparison], decay: float = 0.7) -> tuple[float, float]:
    """Mean gain that former updates of this recipe lead one to expect of the next, and its standard deviation.

    The deviation counts what updates differ by beyond noise (DerSimonian & Laird) and is infinite for fewer than three.
    """
    usable = [(c, age) for age, c in enumerate(earlier) if c.standard_error > 0 and math.isfinite(c.difference)]
    if len(usable) < 3:
        return 0.0, math.inf
    gains = np.array([c.gain for c, _ in usable])
    precision = np.array([1.0 / c.standard_error**2 for c, _ in usable])
    level = float(precision @ gains / precision.sum())
    scatter = float((precision * (gains - level) ** 2).sum()) - (len(gains) - 1)
    spread = max(0.0, scatter / float(precision.sum() - (precision**2).sum() / precision.sum()))
    weights = np.array([decay**age for _, age in usable]) / (1.0 / precision + spread)
    weights /= weights.sum()
    return float(weights @ gains), math.sqrt(spread + float((weights**2 * (1.0 / precision + spread)).sum()))
