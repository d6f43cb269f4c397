"""Is the challenger worse on the rows that the user named as those it must stay good on?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Finding, JudgedRows, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.grading import grade_rows
from evermodel.judging.judge_input import JudgeInput

__all__ = ["guard_rows"]


def guard_rows(
    judge_input: JudgeInput,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where rows that the user named show a loss beyond ``margin``; asked where such rows were given.

    No gain on new rows makes up for it. Rows that are too few to show a loss stop nothing: the interval says what they
    rule out.

        $ evermodel update writer new.jsonl --guard-rows general.jsonl
    """
    rows = judge_input.guarded
    if rows is None or not len(rows):
        return Reason("guard_rows", Finding.PASS, ReasonCode.NO_GUARD_ROWS)
    graded = grade_rows(judge_input, rows, which=JudgedRows.GUARDED, margin=margin, confidence=confidence)
    c, allowed = graded.comparison, graded.margin
    code = ReasonCode.PAST_KEPT if c.gain_high >= -allowed else ReasonCode.PAST_FORGOTTEN
    code = ReasonCode.METRIC_UNDEFINED if graded.grade is None else code
    finding = Finding.FAIL if code is ReasonCode.PAST_FORGOTTEN else Finding.PASS
    return Reason("guard_rows", finding, code, c, rows=JudgedRows.GUARDED, margin=allowed)
