"""Do the challenger's probabilities still mean what they say?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput


def calibration(
    judge_input: JudgeInput,
    /,
    *,
    at_most: Annotated[float, In(0.0, None)] = 2.0,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where the calibration error is shown to have grown by more than ``at_most`` points; classification.

    It passes wherever the rows do not show harm. Recalibrate rather than give the update up.
    """
    if judge_input.task in ("regression", "text"):
        return Reason("calibration", Finding.PASS, ReasonCode.NOT_FOR_REGRESSION)
    c = compare_predictions("calibration_error", judge_input.new, confidence=2 * confidence - 1, seed=judge_input.seed)
    margin = at_most / 100
    if c.gain_high < -margin:
        return Reason("calibration", Finding.FAIL, ReasonCode.CALIBRATION_WORSE, c, margin=margin)
    return Reason("calibration", Finding.PASS, ReasonCode.CALIBRATION_KEPT, c, margin=margin)
