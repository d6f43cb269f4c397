"""Do the challenger's probabilities still mean what they say?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.comparing import compare
from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In
from evermodel.core.wording import described


def calibration(
    pair: PairedScores,
    /,
    *,
    at_most: Annotated[float, In(0.0, None)] = 2.0,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where the calibration error is shown to have grown by more than ``at_most`` points; classification.

    Holds back nothing else: where the rows do not show harm it passes. Recalibrate rather than give the update up.
    """
    if pair.task == "regression":
        return Reason("calibration", "pass", "Calibration is not defined for regression.")
    c = compare("calibration_error", pair.new, confidence=2 * confidence - 1, seed=pair.seed)
    if c.gain_high < -at_most / 100:
        return Reason("calibration", "fail", f"Worse calibrated by more than {at_most:g} points: {described(c)}.", c)
    return Reason("calibration", "pass", f"{described(c)}.", c)
