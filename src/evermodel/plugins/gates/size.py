"""Is the challenger's file about as small as the champion's?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import CostChange, Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.judge_input import JudgeInput


def size(judge_input: JudgeInput, /, *, at_most: Annotated[float, In(0.0, None)] = 2.0) -> Reason:
    """Fails where the challenger's size is more than ``at_most`` times the champion's; holds if not measured."""
    champion, challenger = judge_input.champion_cost, judge_input.challenger_cost
    if champion is None or challenger is None:
        return Reason("size", Finding.HOLD, ReasonCode.COST_NOT_MEASURED)
    cost = CostChange(champion, challenger, at_most)
    if challenger.size > at_most * champion.size:
        return Reason("size", Finding.FAIL, ReasonCode.SIZE_ABOVE_LIMIT, cost=cost)
    return Reason("size", Finding.PASS, ReasonCode.SIZE_WITHIN_LIMIT, cost=cost)
