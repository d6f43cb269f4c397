"""Says in one clause what the rows showed, whatever was decided: headlines of results, reports and events use it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evermodel.core.records.verdict import Comparison, Grade, GradedRows, JudgedRows
from evermodel.core.stats.metric import METRICS
from evermodel.judging.verdict_wording import ROWS, describe_amount

GRADES = {  # never "better" or "worse" without "beyond doubt"
    Grade.BETTER: "better beyond doubt",
    Grade.NO_WORSE: "no worse",
    Grade.INCONCLUSIVE: "neither better nor worse beyond doubt",
    Grade.WORSE: "worse beyond doubt",
    None: "not comparable",
}


def describe_evidence(evidence: Sequence[GradedRows], stopped_by: Sequence[str] = ()) -> str:
    """``better beyond doubt by log loss, 0.512 -> 0.431 on 1,200 new rows``; "" where nothing was compared.

    ``stopped_by``: the gates that stop the challenger; named where the primary metric alone would
    have let it pass.
    """
    graded = next((one for one in evidence if one.rows is not JudgedRows.PAST), None)
    if graded is None:
        return ""
    text = f"{GRADES[graded.grade]}{_figures(graded)}"
    if graded.grade is Grade.NO_WORSE:
        text += f" (harm of {_margin(graded)} or more is ruled out)"
    pooled = graded.pooled
    if (
        graded.grade is Grade.INCONCLUSIVE
        and pooled is not None
        and graded.pooled_grade
        in (
            Grade.BETTER,
            Grade.NO_WORSE,
        )
    ):
        meaning = "are better beyond doubt"
        if graded.pooled_grade is Grade.NO_WORSE:
            meaning = f"are no worse (harm of {_margin(graded)} or more is ruled out)"
        text += f"; over {pooled.n_updates} updates the models of this recipe {meaning}"
    if stopped_by and graded.grade in (Grade.BETTER, Grade.NO_WORSE):
        gates = " and ".join(stopped_by)
        text += f"; the {'gates' if len(stopped_by) > 1 else 'gate'} {gates} stopped it"
    return text


def _margin(graded: GradedRows) -> str:
    return describe_amount(graded.comparison.metric, graded.margin)


def _figures(graded: GradedRows) -> str:
    c: Comparison = graded.comparison
    label = METRICS.load_module(c.metric).LABEL
    on = f"on {c.n:,} {ROWS[graded.rows]}"
    if math.isnan(c.difference):
        return f" by {label}, which is undefined {on}"
    return f" by {label}, {c.champion:.4f} -> {c.challenger:.4f} {on}"
