"""Do people prefer the champion's answers?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import JudgeInput


def votes(judge_input: JudgeInput, /, *, confidence: Annotated[float, In(0.55, 0.999)] = 0.95) -> Reason:
    """Fails where people who saw both answers are shown to prefer the champion's; asked where votes were given.

    One vote a prompt; where both are alike it counts for neither. The test is the exact sign test, two-sided at
    ``confidence``, the interval is Tango's. Few votes show nothing, and stop nothing.

        $ evermodel judge writer v3 new.jsonl --votes votes.jsonl
    """
    cast = judge_input.votes
    if cast is None or not len(cast):
        return Reason("votes", Finding.PASS, ReasonCode.NO_VOTES)
    c = compare_predictions("votes", cast, confidence=confidence, seed=judge_input.seed)
    if c.gain < 0 and c.p_value < 1.0 - confidence:
        return Reason("votes", Finding.FAIL, ReasonCode.VOTES_SHOWN_WORSE, c)
    return Reason("votes", Finding.PASS, ReasonCode.VOTES_KEPT, c)
