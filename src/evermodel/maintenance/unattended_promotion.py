"""What speaks against a promotion with nobody looking: the limits of a maintenance policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evermodel.core.data.table import Table
from evermodel.core.durations import parse_size
from evermodel.core.model.model import Model
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.records.promotion_objection import ObjectionCode, PromotionObjection
from evermodel.registry.serving_cost import costs_of
from evermodel.updating.stages import JudgedProposal

REPEATS = 5  # predictions that a latency is the median of


@dataclass(frozen=True)
class UnattendedPromotion:
    """The promotion policy of maintenance; see ``updating.stages.PromotionPolicy``."""

    policy: Policy

    def __call__(self, judged: JudgedProposal, model: Model, /) -> tuple[PromotionObjection, ...]:
        policy, update_input = self.policy, judged.proposal.update_input
        if policy.promote != "auto":
            return (PromotionObjection(ObjectionCode.APPROVAL_REQUIRED),)
        objections: list[PromotionObjection] = []
        lost = 0.0 if judged.evidence is None else -100.0 * judged.evidence.gain
        if math.isfinite(lost) and lost > policy.max_points:
            objections.append(PromotionObjection(ObjectionCode.POINTS_LOST, lost, policy.max_points))
        before, after = (_cost(m, update_input.replay_rows) for m in (update_input.champion, model))
        times, most_bytes = after[0] / before[0], float(parse_size(policy.max_size, "max_size"))
        if times > policy.max_latency:
            objections.append(PromotionObjection(ObjectionCode.LATENCY, times, policy.max_latency))
        if after[1] > most_bytes:
            objections.append(PromotionObjection(ObjectionCode.SIZE, after[1], most_bytes))
        return tuple(objections)


def _cost(model: Model, rows: Table | None) -> tuple[float, int]:
    """Seconds a batch and bytes; 1 and 0 where no rows are remembered to measure with."""
    if rows is None:
        return 1.0, 0
    cost = costs_of([model], rows.frame, repeats=REPEATS)[0]
    return max(cost.latency, 1e-6), cost.size
