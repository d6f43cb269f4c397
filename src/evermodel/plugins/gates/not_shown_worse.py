"""Has the recipe that refreshes this model been shown to harm it?"""

from __future__ import annotations

import math
from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.metric import METRICS
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import convert_margin
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.pooling import pool_comparisons

# So much worse on the rows at hand is a broken model, whatever the recipe did before: ten points, half the loss again.
BROKEN = {"points": 0.10, "% of the loss": 0.50}


def not_shown_worse(
    judge_input: JudgeInput,
    /,
    *,
    margin: Annotated[float | None, In(0.0, None)] = None,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
    decay: Annotated[float, In(0.0, 1.0)] = 0.7,
) -> Reason:
    """Fails where the evidence pooled over updates shows the recipe worse by more than ``margin``; else passes.

    For the policy ``refresh``, whose winner is refit with the judged rows: the judged model lacks the newest rows and
    understates it by about a point, so that asking for a gain keeps stale models in service (up to 3.4 points lost on
    real streams, ``bench/streams.py``). Also fails where the rows at hand show a broken model.
    """
    metric = judge_input.metric
    now = compare_predictions(metric, judge_input.new, confidence=2 * confidence - 1, seed=judge_input.seed)
    if math.isnan(now.difference):
        return Reason("not_shown_worse", Finding.INVALID, ReasonCode.METRIC_UNDEFINED, now)
    allowed = convert_margin(metric, margin, now.champion)
    broken = BROKEN[METRICS.load_module(metric).MARGIN_UNIT]
    if now.gain_high < -convert_margin(metric, 100.0 * broken, now.champion):
        return Reason("not_shown_worse", Finding.FAIL, ReasonCode.FAR_WORSE, now, margin=allowed)
    pooled = pool_comparisons(now, judge_input.earlier_updates, decay)
    if pooled.gain_high < -allowed:
        return Reason(
            "not_shown_worse", Finding.FAIL, ReasonCode.RECIPE_SHOWN_WORSE, now, margin=allowed, pooled=pooled
        )
    return Reason("not_shown_worse", Finding.PASS, ReasonCode.NOT_SHOWN_WORSE, now, margin=allowed)
