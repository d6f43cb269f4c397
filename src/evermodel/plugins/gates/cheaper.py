"""Does the challenger cost less to run?"""

from __future__ import annotations

from typing import Annotated, Literal

from evermodel.core.records.verdict import CostChange, Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.judge_input import JudgeInput


def cheaper(
    judge_input: JudgeInput,
    /,
    *,
    by: Annotated[float, In(0.0, 1.0)] = 0.05,
    of: Literal["either", "size"] = "either",
) -> Reason:
    """Passes where latency or size falls by at least the share ``by`` and the other does not grow by more than that.

    This is what pruning, quantising and distilling are for. ``of`` "size" asks for size alone and reports latency:
    whoever asks for 8-bit weights pays in time on most CPUs. Holds where the costs were not measured, or on different
    numbers of rows.
    """
    champion, challenger = judge_input.champion_cost, judge_input.challenger_cost
    if champion is None or challenger is None or champion.rows != challenger.rows:
        return Reason("cheaper", Finding.HOLD, ReasonCode.COST_NOT_MEASURED)
    latency = challenger.latency / champion.latency - 1 if champion.latency > 0 else 0.0
    size = challenger.size / champion.size - 1 if champion.size else 0.0
    required = (size,) if of == "size" else (latency, size)
    cost = CostChange(champion, challenger, by, of == "size")
    if min(required) <= -by and max(required) <= by:
        return Reason("cheaper", Finding.PASS, ReasonCode.CHEAPER, cost=cost)
    return Reason("cheaper", Finding.FAIL, ReasonCode.NOT_CHEAPER, cost=cost)
