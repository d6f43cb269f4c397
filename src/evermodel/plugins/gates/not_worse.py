"""Is the challenger not worse by more than the margin, beyond doubt, on new rows and on rows known before?"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from evermodel.core.records.verdict import Comparison, Finding, JudgedRows, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.distributions import normal_quantile
from evermodel.core.stats.paired_tests import rows_needed
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import PAST_MARGINS, analysis_confidence, convert_margin, margin_slope
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.pooling import predict_gain


def not_worse(
    judge_input: JudgeInput,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    past_margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    lend: Annotated[float, In(0.001, 0.4)] = 0.05,
) -> Reason:
    """Passes where "worse by ``margin`` or more" is refuted on the new rows, and by ``past_margin`` on the past rows.

    Margins: points of a score, percent of the loss for losses and R2; None is 1 point or 2 %, and three times that for
    the past. A loss on the past is let pass where the gain now is beyond doubt and larger: the concept has changed.
    ``lend`` is the error allowed instead of 1 - ``confidence`` where earlier updates of the recipe predict no harm;
    above .05 the promise holds on average over updates, no longer for a bad challenger after good ones.
    """
    metric, sure = judge_input.metric, _required_confidence(judge_input, margin, confidence, lend)
    new, bound = _compare(judge_input, judge_input.new, margin_slope(metric, margin), sure)
    reason = _refute_harm(JudgedRows.NEW, new, bound, convert_margin(metric, margin, new.champion), sure)
    if reason.finding is not Finding.PASS or judge_input.past is None or not len(judge_input.past):
        return reason
    slope = PAST_MARGINS * margin_slope(metric, margin) if past_margin is None else margin_slope(metric, past_margin)
    past, bound = _compare(judge_input, judge_input.past, slope, confidence)
    allowed = convert_margin(metric, margin, past.champion) * PAST_MARGINS
    if past_margin is not None:
        allowed = convert_margin(metric, past_margin, past.champion)
    past_reason = _refute_harm(JudgedRows.PAST, past, bound, allowed, confidence)
    if past_reason.finding is Finding.PASS:
        return dataclasses.replace(reason, past=past, past_margin=allowed)
    if new.p_value < 1 - confidence and new.gain > max(0.0, -past.gain):
        outweighed = ReasonCode.PAST_LOSS_OUTWEIGHED
        return dataclasses.replace(reason, code=outweighed, past=past, past_margin=allowed)
    return past_reason


def _required_confidence(judge_input: JudgeInput, margin: float | None, confidence: float, lend: float) -> float:
    """The one-sided confidence of this analysis, lower where earlier updates of the recipe predict no harm."""
    sure = analysis_confidence(confidence, judge_input.analysis, judge_input.n_analyses)
    mean, deviation = predict_gain(judge_input.earlier_updates)
    if lend <= 1 - confidence or judge_input.n_analyses > 1 or not math.isfinite(deviation):
        return sure
    allowed = convert_margin(judge_input.metric, margin, judge_input.earlier_updates[0].champion)
    return 1 - lend if mean - normal_quantile(confidence) * deviation > -allowed else sure


def _compare(
    judge_input: JudgeInput, rows: PairedPredictions, slope: float, sure: float
) -> tuple[Comparison, Comparison]:
    """The comparison that is shown, and the one whose interval is compared with a margin that moves with the rows."""
    metric, seed = judge_input.metric, judge_input.seed
    plain = compare_predictions(metric, rows, confidence=2 * sure - 1, seed=seed)
    if not slope:
        return plain, plain
    return plain, compare_predictions(metric, rows, confidence=2 * sure - 1, seed=seed, margin_slope=slope)


def _refute_harm(rows: JudgedRows, c: Comparison, bound: Comparison, allowed: float, sure: float) -> Reason:
    """Pass where a loss of ``allowed`` is refuted, fail where it is shown, else hold with the rows needed."""
    if math.isnan(c.difference):
        finding = Finding.INVALID if rows is JudgedRows.NEW else Finding.HOLD
        return Reason("not_worse", finding, ReasonCode.METRIC_UNDEFINED, c, rows=rows)
    if bound.gain_low > -allowed:
        return Reason("not_worse", Finding.PASS, ReasonCode.WITHIN_MARGIN, c, rows=rows, margin=allowed)
    if bound.gain_high < -allowed:
        return Reason("not_worse", Finding.FAIL, ReasonCode.BEYOND_MARGIN, c, rows=rows, margin=allowed)
    distance = c.gain + allowed
    if distance <= 0:  # the estimate itself is past the margin: what more rows would show is harm
        distance = -c.gain
    needed = rows_needed(distance, bound.standard_error, c.n, confidence=sure)
    return Reason("not_worse", Finding.HOLD, ReasonCode.HARM_NOT_EXCLUDED, c, needed, rows=rows, margin=allowed)
