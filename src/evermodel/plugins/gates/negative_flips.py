"""How many rows that the champion had right does the challenger get wrong?"""

from __future__ import annotations

from typing import Annotated, cast

from evermodel.core.records.verdict import Finding, Flips, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.distributions import wilson_interval
from evermodel.core.stats.metric import METRICS, PerRow
from evermodel.judging.judge_input import JudgeInput


def negative_flips(
    judge_input: JudgeInput,
    /,
    *,
    at_most: Annotated[float, In(0.0, 1.0)] = 0.05,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Fails where more than the share ``at_most`` of rows is shown to flip from right to wrong; classification only.

    People notice what used to work, whatever the mean says. Shown: Wilson's lower bound. Source: Yan et al. (2021),
    "Positive-congruent training".
    """
    if judge_input.task in ("regression", "text"):
        return Reason("negative_flips", Finding.PASS, ReasonCode.NOT_FOR_REGRESSION)
    rows, right = judge_input.new, cast(PerRow, METRICS.load_module("accuracy")).per_row
    flipped = right(rows.y, rows.champion) > right(rows.y, rows.challenger)
    counted = Flips(int(flipped.sum()), len(flipped), at_most)
    low, _ = wilson_interval(counted.n_flipped, counted.n, 2 * confidence - 1)  # one-sided
    if low > at_most:
        return Reason("negative_flips", Finding.FAIL, ReasonCode.FLIPS_ABOVE_LIMIT, flips=counted)
    return Reason("negative_flips", Finding.PASS, ReasonCode.FLIPS_WITHIN_LIMIT, flips=counted)
