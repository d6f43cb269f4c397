"""Is harm beyond the margin ruled out, by these rows or by this recipe's evidence over several updates?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Finding, Grade, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.paired_tests import rows_needed
from evermodel.judging.grading import analysis_confidence, grade_rows
from evermodel.judging.judge_input import JudgeInput


def no_worse(
    judge_input: JudgeInput,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Passes where the new rows show the challenger better, or rule out that it is worse by ``margin``.

    Where they cannot, evidence of the same recipe pooled over updates may: single blocks of few rows would hold a
    refreshed model for ever. It counts only as long as the point estimate now is within the margin. Fails where the
    rows now, or the recipe over several updates, are shown worse; else holds, with the rows needed.
    """
    sure = analysis_confidence(confidence, judge_input.analysis, judge_input.n_analyses)
    earlier = judge_input.earlier_updates
    graded = grade_rows(judge_input, judge_input.new, margin=margin, confidence=sure, earlier=earlier)
    now, allowed = graded.comparison, graded.margin

    def reason(finding: Finding, code: ReasonCode, needed: int | None = None) -> Reason:
        return Reason("no_worse", finding, code, now, needed, margin=allowed, pooled=graded.pooled)

    if graded.grade is None:
        return reason(Finding.INVALID, ReasonCode.METRIC_UNDEFINED)
    if graded.grade is Grade.WORSE:
        return reason(Finding.FAIL, ReasonCode.SHOWN_WORSE)
    if graded.grade is Grade.BETTER:
        return reason(Finding.PASS, ReasonCode.GAIN_SHOWN)
    if graded.grade is Grade.NO_WORSE:
        return reason(Finding.PASS, ReasonCode.WITHIN_MARGIN)
    if graded.pooled is not None and graded.pooled.gain_high < -allowed:
        return reason(Finding.FAIL, ReasonCode.RECIPE_SHOWN_WORSE)
    if graded.pooled_grade in (Grade.BETTER, Grade.NO_WORSE) and now.gain > -allowed:
        return reason(Finding.PASS, ReasonCode.RECIPE_NO_WORSE)
    distance = now.gain + allowed
    if distance <= 0:  # the estimate itself is past the margin: what more rows would show is harm
        distance = -now.gain
    needed = rows_needed(distance, now.standard_error, now.n, confidence=sure)
    return reason(Finding.HOLD, ReasonCode.HARM_NOT_EXCLUDED, needed)
