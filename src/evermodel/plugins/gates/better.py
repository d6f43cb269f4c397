"""Is there a gain on the newest rows?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.paired_tests import rows_needed
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.pooling import pool_comparisons


def better(
    judge_input: JudgeInput,
    /,
    *,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    decay: Annotated[float, In(0.0, 1.0)] = 0.7,
) -> Reason:
    """Passes with a gain at the point estimate on the newest rows; fails where the challenger is shown worse there.

    Without a gain now, it also passes if the recipe is shown better on the evidence pooled with earlier updates, each
    update of age weighing ``decay`` less. That lends nothing to ``not_worse``, which always speaks of the rows now.
    """
    c = compare_predictions(judge_input.metric, judge_input.new, confidence=2 * confidence - 1, seed=judge_input.seed)
    if math.isnan(c.difference):
        return Reason("better", Finding.INVALID, ReasonCode.METRIC_UNDEFINED, c)
    if c.gain_high < 0:
        return Reason("better", Finding.FAIL, ReasonCode.SHOWN_WORSE, c)
    if c.gain > 0:
        shown = c.p_value < 1 - confidence
        return Reason("better", Finding.PASS, ReasonCode.GAIN_SHOWN if shown else ReasonCode.GAIN_UNCERTAIN, c)
    pooled = pool_comparisons(c, judge_input.earlier_updates, decay)
    if pooled.gain_low > 0:
        return Reason("better", Finding.PASS, ReasonCode.RECIPE_SHOWN_BETTER, c, pooled=pooled)
    needed = rows_needed(-c.gain, c.standard_error, c.n, confidence=confidence)
    return Reason("better", Finding.HOLD, ReasonCode.NO_GAIN, c, needed)
