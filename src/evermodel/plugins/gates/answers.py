"""Is any answer harmed that is not the judged one?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.records.verdict import Comparison, Finding, Reason, ReasonCode
from evermodel.core.settings import In
from evermodel.core.stats.paired_tests import adjust_holm
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.grading import convert_margin
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.task_metrics import PROPER_SCORE


def answers(
    judge_input: JudgeInput,
    /,
    *,
    answer_error: Annotated[float, In(0.001, 0.5)] = 0.05,
    answer_margin: Annotated[float | None, In(0.0, None)] = None,
) -> Reason:
    """Fails where another answer of the model is shown worse on the new rows, unless by less than ``answer_margin``.

    Each is compared by its proper score: log loss, or R2. ``answer_error``: chance that an equal model fails anywhere,
    over all answers (Holm). Margin: points or percent of the loss; None is 1 point or 2 %. Asked where the model gives
    several answers; a signature file may leave one out with ``guard = false``.
    """
    compared = {
        name: compare_predictions(PROPER_SCORE[answer.task], answer.rows, seed=judge_input.seed)
        for name, answer in judge_input.other_answers.items()
    }
    tested = {name: c for name, c in compared.items() if c.standard_error > 0}
    adjusted = adjust_holm([_find_harm_p_value(c) for c in tested.values()])
    worst = None
    for (name, c), p in zip(tested.items(), adjusted, strict=True):
        allowed = convert_margin(c.metric, answer_margin, c.champion)
        if p <= answer_error and c.gain_low <= -allowed and (worst is None or p < worst[1]):
            worst = name, p, allowed
    if worst is None:
        return Reason("answers", Finding.PASS, ReasonCode.ANSWERS_UNHARMED, answer=", ".join(compared))
    name, _, allowed = worst
    return Reason("answers", Finding.FAIL, ReasonCode.ANSWER_HARMED, tested[name], margin=allowed, answer=name)


def _find_harm_p_value(c: Comparison) -> float:
    """Two-sided, as the interval is that is shown beside it; 1 where there is no harm."""
    return c.p_value if c.gain < 0 else 1.0
