"""Do people prefer the champion's answers?"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.paired_tests import mcnemar_p_value, tango_interval
from evermodel.judging.judge_input import JudgeInput


def votes(judge_input: JudgeInput, /, *, confidence: Annotated[float, In(0.55, 0.999)] = 0.95) -> Reason:
    """Fails where people who saw both answers are shown to prefer the champion's; asked where votes were given.

    One vote a prompt; where both are alike it counts for neither. The test is the exact sign test, two-sided at
    ``confidence``, the interval is Tango's. Few votes show nothing, and stop nothing.

        $ evermodel judge writer v3 new.jsonl --votes votes.jsonl
    """
    counted = judge_input.votes
    if counted is None or not counted.n:
        return Reason("votes", Finding.PASS, ReasonCode.NO_VOTES)
    won, lost = counted.for_challenger, counted.for_champion
    p = mcnemar_p_value(won, lost)
    low, high = tango_interval(won, lost, counted.n, confidence)
    tested = dataclasses.replace(counted, p_value=p, low=low, high=high, confidence=confidence)
    if won < lost and p < 1.0 - confidence:
        return Reason("votes", Finding.FAIL, ReasonCode.VOTES_SHOWN_WORSE, votes=tested)
    return Reason("votes", Finding.PASS, ReasonCode.VOTES_KEPT, votes=tested)
