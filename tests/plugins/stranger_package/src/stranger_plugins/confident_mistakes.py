"""A gate against models that are wrong and sure of it."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.distributions import wilson_interval
from evermodel.judging.judge_input import JudgeInput


def confident_mistakes(
    judge_input: JudgeInput,
    /,
    *,
    sure: Annotated[float, In(0.5, 1.0)] = 0.95,
    at_most: Annotated[float, In(0.0, 1.0)] = 0.10,
) -> Reason:
    """Fails where more than the share ``at_most`` of the new rows is shown to be answered wrongly with ``sure``."""
    if judge_input.task == "regression":
        return Reason("confident_mistakes", Finding.PASS, ReasonCode.NOT_FOR_REGRESSION)
    rows = judge_input.new
    if not np.isfinite(rows.challenger).all():
        return Reason("confident_mistakes", Finding.INVALID, ReasonCode.METRIC_UNDEFINED)
    answers = rows.challenger.argmax(axis=1)
    mistakes = int(((answers != rows.y) & (rows.challenger.max(axis=1) >= sure)).sum())
    low, _ = wilson_interval(mistakes, len(rows), 0.9)
    return Reason(
        "confident_mistakes",
        Finding.FAIL if low > at_most else Finding.PASS,
        "confident_mistakes",
        numbers={"mistakes": float(mistakes), "rows": float(len(rows)), "sure": sure},
        template="{mistakes:,.0f} of {rows:,.0f} rows are answered wrongly with a probability of {sure:.0%} or more.",
    )
