"""Do the rows look like an update, or like a data incident?"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from evermodel.core.records.verdict import Finding, Reason, ReasonCode, SkillChange
from evermodel.core.settings import In
from evermodel.core.stats.distributions import normal_quantile
from evermodel.core.stats.metric import METRICS
from evermodel.judging.baseline_skill import measure_skill
from evermodel.judging.judge_input import JudgeInput

LEAST = 0.1  # a model that usually removes less of the loss has too little skill for a loss of it to mean anything
REGAINED = 1 / 3  # of the lost skill, by the challenger: more shows that there was something to learn


def skill(
    judge_input: JudgeInput,
    /,
    *,
    share: Annotated[float, In(0.0, 1.0)] = 0.3,
    unlearnt: Annotated[float, In(0.0, 1.0)] = 0.5,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Finds the rows invalid where even the challenger has less than ``share`` of its usual skill.

    Of numbers to be predicted the limit is ``unlearnt`` where training on the rows regained little of what the champion
    lost on them: drift can be learnt, numbers that were mixed up between rows cannot, and as many of them leave more
    skill than wrong labels do. Skill is the share of the trivial baseline's loss removed (Brier score, squared error).
    That it fell must itself be beyond doubt, and the predictions must have lost their order as well: a base rate or a
    level that moved costs loss and keeps the order (drift, to be learnt), wrong labels cost both. No comparison of two
    models sees wrong labels in the judged rows; this does. Quarantine such rows and try them again with the next ones.
    Where rows pass on which even the challenger is worse than the trivial baseline, beyond doubt, the reason says so.
    """
    usual = judge_input.usual_skill
    now, error = measure_skill(judge_input, judge_input.new.challenger)
    is_known = usual is not None and usual >= LEAST
    most = now + normal_quantile(confidence) * error
    if most < 0.0 and not is_known:
        return Reason("skill", Finding.PASS, ReasonCode.BELOW_BASELINE, skill=SkillChange(now, math.nan))
    if judge_input.trivial_predictions is None or usual is None or not is_known:
        return Reason("skill", Finding.PASS, ReasonCode.SKILL_UNKNOWN)
    if math.isnan(now):
        return Reason("skill", Finding.PASS, ReasonCode.SKILL_UNDEFINED)
    change = SkillChange(now, usual)
    champion = measure_skill(judge_input, judge_input.new.champion)[0]
    regained = now - champion > REGAINED * (usual - champion)
    limit = share if regained or judge_input.task != "regression" else max(share, unlearnt)
    lost = now < limit * usual and _measure_order(judge_input) < limit
    if lost and most < usual:
        return Reason("skill", Finding.INVALID, ReasonCode.SKILL_LOST, skill=change)
    if most < 0.0:
        return Reason("skill", Finding.PASS, ReasonCode.BELOW_BASELINE, skill=change)
    return Reason("skill", Finding.PASS, ReasonCode.SKILL_KEPT, skill=change)


def _measure_order(judge_input: JudgeInput) -> float:
    """How far the challenger still puts the rows in order, 0 (by chance) to 1: 2 AUC - 1, or r squared."""
    rows = judge_input.new
    if judge_input.task == "regression":
        both = np.corrcoef(rows.y, rows.challenger) if np.ptp(rows.challenger) > 0 else np.zeros((2, 2))
        return float(both[0, 1]) ** 2
    area = float(METRICS.load("auc")(rows.y, rows.challenger))
    return 2.0 * area - 1.0 if math.isfinite(area) else 1.0
