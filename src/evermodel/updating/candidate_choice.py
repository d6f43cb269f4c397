"""Several strategies named at once: one candidate is chosen on part of the judged rows, the rest confirm it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evermodel.core.stats.metric import METRICS
from evermodel.judging.judge_request import JudgeRequest
from evermodel.judging.row_selection import split_for_confirmation
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.updating.stages import Proposal
from evermodel.updating.trained_candidate import TrainedCandidate, metric_score
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.pairing import group_rows


def propose_best(update_input: UpdateInput, trained: Sequence[TrainedCandidate], request: JudgeRequest) -> Proposal:
    """Proposes the candidate with the best score on the older half of the judged rows; of equal ones the first.

    The best of several looks better than it is, so the newer half, which took no part in the choice, judges it. A
    single candidate is not chosen, and all judged rows judge it.
    """
    rows = update_input.judged_rows
    chosen, choosing, confirming = trained[0], None, None
    if len(trained) > 1:
        in_time = not update_input.card.shuffled
        choosing, confirming = split_for_confirmation(len(rows), group_rows(rows, series=False), in_time=in_time)
        name = request.metric or DEFAULT_METRIC[update_input.champion.contract.task]
        sign = 1.0 if METRICS.load_module(name).HIGHER_IS_BETTER else -1.0
        part = rows.rows(choosing)
        scores = [sign * metric_score(name, c.model.target(part), c.model.answer_rows(part)) for c in trained]
        chosen = trained[int(np.argmax(np.nan_to_num(np.array(scores), nan=-np.inf)))]
    return Proposal(
        update_input,
        chosen,
        chosen.recipe.strategy,
        chosen.recipe.settings,
        request.read_terms(update_input.champion.contract.task, chosen.recipe.policy),
        listed=tuple(trained),
        choosing=choosing,
        confirming=confirming,
        reanalysed_when_held=True,
    )
