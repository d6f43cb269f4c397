"""Is what was known before forgotten?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Finding, Grade, JudgedRows, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.grading import PAST_MARGINS, grade_rows
from evermodel.judging.judge_input import JudgeInput


def retention(
    judge_input: JudgeInput,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    past_margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where the rows known before, which neither model was trained on, show a loss beyond ``past_margin``.

    Default: three margins. Few such rows show nothing, and nothing is held for them. A loss is let pass where the gain
    on the new rows is beyond doubt and either larger, or of rows in the order of time: the concept has changed, and
    the new rows are what is asked now.
    """
    past = judge_input.past
    if past is None or not len(past):
        return Reason("retention", Finding.PASS, ReasonCode.NO_PAST_ROWS)
    share = margin if past_margin is None else past_margin / PAST_MARGINS
    graded = grade_rows(judge_input, past, which=JudgedRows.PAST, margin=share, confidence=confidence)
    c, allowed = graded.comparison, graded.margin
    if graded.grade is None:
        return Reason("retention", Finding.PASS, ReasonCode.METRIC_UNDEFINED, c, rows=JudgedRows.PAST)
    if c.gain_high >= -allowed:
        return Reason("retention", Finding.PASS, ReasonCode.PAST_KEPT, c, rows=JudgedRows.PAST, margin=allowed)
    now = grade_rows(judge_input, judge_input.new, margin=margin, confidence=confidence)
    if now.grade is Grade.BETTER and (judge_input.in_time or now.comparison.gain > -c.gain):
        outweighed = ReasonCode.PAST_LOSS_OUTWEIGHED
        return Reason(
            "retention", Finding.PASS, outweighed, now.comparison, margin=now.margin, past=c, past_margin=allowed
        )
    return Reason("retention", Finding.FAIL, ReasonCode.PAST_FORGOTTEN, c, rows=JudgedRows.PAST, margin=allowed)
