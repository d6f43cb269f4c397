"""Do the rows look like an update, or like a data incident?"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from evermodel.core import plugs
from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.judging import skill as skill_of
from evermodel.core.settings import In
from evermodel.core.statistics import normal_quantile

LEAST = 0.1  # a model that usually removes less of the loss has too little skill for a loss of it to tell anything


def skill(
    pair: PairedScores,
    /,
    *,
    share: Annotated[float, In(0.0, 1.0)] = 0.3,
    confidence: Annotated[float, In(0.55, 0.999)] = 0.95,
) -> Reason:
    """Finds the rows invalid where even the challenger has less than ``share`` of its usual skill.

    Skill is the share of the trivial baseline's loss removed (Brier score, squared error). That it fell must itself
    be beyond doubt, and the predictions must have lost their order as well: a base rate or a level that moved costs
    loss and keeps the order (drift, to be learnt), wrong labels cost both. No comparison of two models sees wrong
    labels in the judged rows; this does. Set such rows aside and try them again with the next ones.
    """
    usual = pair.usual_skill
    if pair.trivial is None or usual is None or not usual >= LEAST:
        return Reason("skill", "pass", "No usual skill known that these rows could be held against.")
    now, error = skill_of(pair, pair.new.challenger)
    if math.isnan(now):
        return Reason("skill", "pass", "The trivial baseline makes no error here: skill is undefined.")
    words = f"The challenger removes {100 * now:.0f} % of the trivial loss on these rows, usually {100 * usual:.0f} %"
    lost = now < share * usual and _order(pair) < share
    if lost and now + normal_quantile(confidence) * error < usual:
        return Reason("skill", "invalid", f"{words}: look at the data (labels, units, joins) before updating.")
    return Reason("skill", "pass", f"{words}.")


def _order(pair: PairedScores) -> float:
    """How far the challenger still puts the rows in order, 0 (by chance) to 1: 2 AUC - 1, or r squared."""
    if pair.task == "regression":
        both = np.corrcoef(pair.new.y, pair.new.challenger) if np.ptp(pair.new.challenger) > 0 else np.zeros((2, 2))
        return float(both[0, 1]) ** 2
    area = float(plugs.function("metrics", "auc")(pair.new.y, pair.new.challenger))
    return 2.0 * area - 1.0 if math.isfinite(area) else 1.0
