"""Does the metric that the user looks at fall, though another one is the evidence?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import convert_margin
from evermodel.judging.judge_input import JudgeInput


def guard(
    judge_input: JudgeInput,
    /,
    *,
    guard_margin: Annotated[float | None, In(0.0, None)] = None,
    estimate: bool = True,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where the user's metric is shown worse on the new rows, holds where its estimate falls by ``guard_margin``.

    A proper score tells two models apart with fewer rows, but a user of AUC or accuracy must not find it lower. A loss
    that is shown, and shown to be smaller than the margin, passes: the margin says that it does not count.
    ``estimate`` False leaves the second question out. Margin: points or percent; None is 1 point or 2 %.
    """
    metric = judge_input.guard
    if metric is None or metric == judge_input.metric:
        return Reason("guard", Finding.PASS, ReasonCode.NO_GUARD)
    c = compare_predictions(metric, judge_input.new, confidence=confidence, seed=judge_input.seed)
    if math.isnan(c.difference):
        return Reason("guard", Finding.HOLD, ReasonCode.METRIC_UNDEFINED, c)
    allowed = convert_margin(metric, guard_margin, c.champion)
    if c.gain_high < 0 and c.gain_low <= -allowed:
        return Reason("guard", Finding.FAIL, ReasonCode.GUARD_SHOWN_WORSE, c, margin=allowed)
    if estimate and c.gain < -allowed:
        return Reason("guard", Finding.HOLD, ReasonCode.GUARD_FELL, c, margin=allowed)
    return Reason("guard", Finding.PASS, ReasonCode.GUARD_KEPT, c, margin=allowed)
