"""Is any slice of what was known before forgotten, though the whole is not?"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from evermodel.core.records.verdict import Finding, JudgedRows, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.judging.judge_input import JudgeInput
from evermodel.plugins.gates.slices import slices

__all__ = ["forgetting"]


def forgetting(
    judge_input: JudgeInput,
    /,
    *,
    error: Annotated[float, In(0.001, 0.5)] = 0.1,
    slice_margin: Annotated[float | None, In(0.0, None)] = None,
    least: Annotated[int, In(2, None)] = 30,
) -> Reason:
    """Fails where a slice of the rows known before, such as an earlier domain, is shown worse beyond ``slice_margin``.

    The settings are those of the gate ``slices``, and so is the error that is allowed over all slices together. No
    gain on new rows makes up for it. The rows are the kept ones, which neither model was trained on; without such
    rows, or without slices, nothing is tested. It is asked only where it is named:

        $ evermodel update intents new.parquet --gate forgetting
    """
    past = judge_input.past
    if past is None or not len(past):
        return Reason("forgetting", Finding.PASS, ReasonCode.NO_PAST_ROWS)
    known = dataclasses.replace(judge_input, new=past)
    found = slices(known, error=error, slice_margin=slice_margin, least=least)
    return dataclasses.replace(found, gate="forgetting", rows=JudgedRows.PAST)
