"""Are there enough rows of the rarer classes for a verdict to mean anything?"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from evermodel.core.records.verdict import EventCount, Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.judge_input import JudgeInput

COUNTED_ALONE = ("accuracy",)  # its exact test counts the rows on which the models differ, of whatever class


def enough_events(judge_input: JudgeInput, /, *, least: Annotated[int, In(2, None)] = 10) -> Reason:
    """Holds where fewer than ``least`` judged rows lie outside of the commonest class; classification.

    Log loss, AUC and what else depends on rare positives say little from five of them, however many rows there are.
    """
    if judge_input.task in ("regression", "text") or judge_input.metric in COUNTED_ALONE:
        return Reason("enough_events", Finding.PASS, ReasonCode.EVENTS_NOT_COUNTED)
    y = np.asarray(judge_input.new.y)
    commonest = int(np.unique(y, return_counts=True)[1].max()) if len(y) else 0
    events = EventCount(len(y) - commonest, len(y), least)
    if events.n_events >= least:
        return Reason("enough_events", Finding.PASS, ReasonCode.ENOUGH_EVENTS, events=events)
    needed = math.ceil(least * events.n / events.n_events) if events.n_events else None
    return Reason("enough_events", Finding.HOLD, ReasonCode.TOO_FEW_EVENTS, rows_needed=needed, events=events)
