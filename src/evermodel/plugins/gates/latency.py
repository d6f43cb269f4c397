"""Does the challenger answer about as fast as the champion?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import CostChange, Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.judge_input import JudgeInput


def latency(judge_input: JudgeInput, /, *, at_most: Annotated[float, In(0.0, None)] = 1.25) -> Reason:
    """Fails where the challenger's latency is more than ``at_most`` times the champion's; holds if not measured."""
    champion, challenger = judge_input.champion_cost, judge_input.challenger_cost
    if champion is None or challenger is None:
        return Reason("latency", Finding.HOLD, ReasonCode.COST_NOT_MEASURED)
    cost = CostChange(champion, challenger, at_most)
    if challenger.latency > at_most * champion.latency:
        return Reason("latency", Finding.FAIL, ReasonCode.LATENCY_ABOVE_LIMIT, cost=cost)
    return Reason("latency", Finding.PASS, ReasonCode.LATENCY_WITHIN_LIMIT, cost=cost)
