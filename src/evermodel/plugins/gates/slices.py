"""Is any slice of the rows harmed, though the whole is not?"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from evermodel.core.records.verdict import Comparison, Finding, Method, Reason, ReasonCode, SliceTest
from evermodel.core.settings import In
from evermodel.core.stats.paired_tests import adjust_holm, mcnemar_p_value, shrink_estimates
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import convert_margin
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.row_selection import select_rows


def slices(
    judge_input: JudgeInput,
    /,
    *,
    error: Annotated[float, In(0.001, 0.5)] = 0.1,
    slice_margin: Annotated[float | None, In(0.0, None)] = None,
    least: Annotated[int, In(2, None)] = 30,
) -> Reason:
    """Fails where a slice is shown worse, and its loss, shrunk towards the whole, is more than ``slice_margin``.

    ``error``: chance that an equal model fails anywhere, over all slices (Holm). Twenty hard gates would fail an equal
    model nearly always. Slices of fewer than ``least`` rows are not tested. Margin: points or percent; None is .5 or 1,
    half of what the whole is allowed: the shrinking already asks for more.
    """
    metric, rows, seed = judge_input.metric, judge_input.new, judge_input.seed
    compared = {
        name: compare_predictions(metric, select_rows(rows, inside), seed=seed)
        for name, inside in rows.slices.items()
        if int(inside.sum()) >= least
    }
    tested = {name: c for name, c in compared.items() if c.standard_error > 0}
    counted = SliceTest(len(rows.slices), len(tested))
    if not tested:
        return Reason("slices", Finding.PASS, ReasonCode.NO_SLICE_TESTED, slices=counted)
    whole = compare_predictions(metric, rows, seed=seed)
    gains = np.array([c.gain for c in tested.values()])
    pulled = shrink_estimates(gains, np.array([c.standard_error**2 for c in tested.values()]), whole.gain)
    adjusted = adjust_holm([_harm_p_value(c) for c in tested.values()])
    worst = None
    for (name, c), p, gain in zip(tested.items(), adjusted, pulled, strict=True):
        allowed = convert_margin(metric, slice_margin, c.champion) * (0.5 if slice_margin is None else 1.0)
        if p <= error and gain < -allowed and (worst is None or c.gain < worst[1].gain):
            worst = (name, c, p)
    if worst is None:
        return Reason("slices", Finding.PASS, ReasonCode.SLICES_UNHARMED, slices=counted)
    harmed = SliceTest(len(rows.slices), len(tested), worst[0], worst[2])
    return Reason("slices", Finding.FAIL, ReasonCode.SLICE_HARMED, worst[1], slices=harmed)


def _harm_p_value(c: Comparison) -> float:
    """One-sided p value of "the challenger is not worse here"."""
    if c.method is Method.MCNEMAR:  # exact p values of few pairs waste half the error allowed: the middle one does not
        lost_more = round(-c.gain * c.n)
        pairs = round((c.standard_error * c.n) ** 2 + lost_more**2 / c.n)
        p = mcnemar_p_value((pairs - lost_more) // 2, (pairs + lost_more) // 2, mid=True)
    else:
        p = c.p_value
    return p / 2 if c.gain < 0 else 1 - p / 2
