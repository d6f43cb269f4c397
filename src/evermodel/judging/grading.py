"""Grades evidence: what a set of rows shows of a challenger beside a margin, whatever is then decided."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evermodel.core.errors import BadSetting
from evermodel.core.records.verdict import Comparison, Grade, GradedRows, JudgedRows
from evermodel.core.stats.metric import METRICS
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.pooling import pool_comparisons

DEFAULT_MARGIN = {"points": 1.0, "% of the loss": 2.0}
PAST_MARGINS = 3.0  # the past rows may hold an old concept that is rightly left behind
SPENT = {(1, 1): 1.0, (1, 2): 0.7, (2, 2): 0.4}  # (analysis, planned analyses) -> share of the error it may spend


def grade_rows(
    judge_input: JudgeInput,
    rows: PairedPredictions,
    *,
    which: JudgedRows = JudgedRows.NEW,
    margin: float | None = None,
    confidence: float = 0.95,
    earlier: Sequence[Comparison] = (),
) -> GradedRows:
    """Compares both models on ``rows`` by the primary metric and grades the difference.

    "Better" and "worse" ask for a two-sided interval of ``confidence`` beside 0; "no worse" for a one-sided bound of
    ``confidence`` above -margin. ``margin`` is in points or percent. ``earlier``: comparisons of the same recipe,
    newest first; with them the pooled evidence is graded too. Raises BadData where predictions are not finite.
    """
    metric, seed = judge_input.metric, judge_input.seed
    slope, times = margin_slope(metric, margin), PAST_MARGINS if which is JudgedRows.PAST else 1.0
    plain = compare_predictions(metric, rows, confidence=confidence, seed=seed)
    bound = compare_predictions(metric, rows, confidence=2 * confidence - 1, seed=seed, margin_slope=times * slope)
    allowed = times * convert_margin(metric, margin, plain.champion)
    pooled, pooled_grade = None, None
    if any(c.metric == metric for c in earlier):
        pooled, pooled_bound = pool_comparisons(plain, earlier), pool_comparisons(bound, earlier)
        pooled_grade = grade_comparison(pooled, pooled_bound, allowed)
    return GradedRows(which, grade_comparison(plain, bound, allowed), plain, allowed, pooled, pooled_grade)


def grade_comparison(plain: Comparison, bound: Comparison, allowed: float) -> Grade | None:
    """The grade of a difference; ``bound`` is the same with a one-sided bound. None where it is not determined."""
    if math.isnan(plain.difference):
        return None
    if plain.gain_low > 0:
        return Grade.BETTER
    if plain.gain_high < 0:
        return Grade.WORSE
    return Grade.NO_WORSE if bound.gain_low > -allowed else Grade.INCONCLUSIVE


def convert_margin(metric: str, margin: float | None, champion: float) -> float:
    """The margin in the metric's own unit, from points (hundredths) or, for losses and R2, percent of the loss.

    None is the default: 1 point, or 2 % of the champion's loss (for R2 of 1 - R2).
    """
    plugin = METRICS.load_module(metric)
    size = DEFAULT_MARGIN[plugin.MARGIN_UNIT] if margin is None else margin
    if plugin.MARGIN_UNIT == "points":
        return size / 100.0
    return size / 100.0 * abs(1.0 - champion if plugin.HIGHER_IS_BETTER else champion)


def margin_slope(metric: str, margin: float | None) -> float:
    """How far a margin grows with the champion's score: m for a margin of m times its loss, 0 for one in points.

    A champion that was unlucky on these rows makes the challenger look better and the margin wider at once. Comparing
    challenger - (1 + m) champion with its own scatter counts that once (R2: 5.4 % instead of 5 % passed without).
    """
    unit = METRICS.load_module(metric).MARGIN_UNIT
    return 0.0 if unit == "points" else (DEFAULT_MARGIN[unit] if margin is None else margin) / 100.0


def analysis_confidence(confidence: float, analysis: int, n_analyses: int) -> float:
    """How sure one analysis must be so that all planned ones together err with 1 - ``confidence``.

    One analysis spends all of the error; of two the first spends 70 % and the second 40 % (they overlap: the second
    counts the rows of the first again). Measured by ``bench/judge.py``.
    """
    spent = SPENT.get((analysis, n_analyses))
    if spent is None:
        raise BadSetting(f"n_analyses must be 1 or 2, and analysis at most n_analyses. Got {analysis} of {n_analyses}.")
    return 1.0 - spent * (1.0 - confidence)
