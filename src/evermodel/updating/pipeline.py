"""The one pipeline of every change to a model: judge → refit on all rows → apply the policy → commit.

Update, tune, prune, fuse and maintenance call it with a ``Proposal``. The result it returns is what was committed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from evermodel.core.model.strategy import Context
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.verdict import JudgedRows
from evermodel.core.store import Store
from evermodel.judging.row_selection import select_input_rows
from evermodel.registry.score_table import build_score_table, describe_reasons
from evermodel.registry.serving_cost import find_breaks, measure_serving_cost
from evermodel.registry.update_result import UpdateResult
from evermodel.updating.candidate_table import list_candidates
from evermodel.updating.commit import commit
from evermodel.updating.incoming_rows import apply_suspicions
from evermodel.updating.stages import (
    Completing,
    JudgedProposal,
    Outcome,
    PromotionPolicy,
    Proposal,
    no_objections,
    nothing_more,
)
from evermodel.updating.trained_candidate import TrainedCandidate, refit_on_all_rows, score_candidate
from evermodel.updating.update_input import describe_data
from evermodel.updating.verdicts.reanalysis import count_planned_analyses, describe_reanalysis

R = TypeVar("R", bound=UpdateResult)
logger = logging.getLogger(__name__)


def judge_proposal(store: Store, proposal: Proposal) -> JudgedProposal:
    """Both models scored on the judging rows and on rows known before, and the judge's verdict. Writes nothing."""
    update_input, candidate = proposal.update_input, proposal.candidate
    log = store.read_events(update_input.card.name)
    rows, terms = update_input.judged_rows, proposal.terms
    scores = score_candidate(store, log, update_input, candidate.model, rows, terms, proposal.strategy)
    scores = dataclasses.replace(scores, n_analyses=count_planned_analyses(proposal))
    if proposal.costs is not None:
        scores = dataclasses.replace(scores, champion_cost=proposal.costs[0], challenger_cost=proposal.costs[1])
    if proposal.confirming is not None:
        scores = select_input_rows(scores, proposal.confirming)
    verdict = terms.judge(scores, n_judged=update_input.n_judged_before)
    if update_input.cleaned is None:  # no new rows came
        verdict = verdict.on(JudgedRows.HELD_OUT)
    return JudgedProposal(proposal, scores, apply_suspicions(verdict, update_input.suspicions))


def conclude(
    store: Store,
    judged: JudgedProposal,
    context: Context,
    *,
    refit: bool,
    extend: Callable[[UpdateResult], R],
    trained: JudgedProposal | None = None,
    reanalysed: JudgedProposal | None = None,
    policy: PromotionPolicy = no_objections,
    completing: Completing = nothing_more,
    dry_run: bool = False,
) -> R:
    """Everything after the verdict, up to the commit; returns what was committed.

    ``refit`` trains a winner with the judged rows too. ``extend`` adds what a command has to show beside what every
    update shows. ``trained``: the proposal trained by this run, where ``judged`` is an older one, held before;
    ``reanalysed``: the one held before, where there is one, whether it won or not.
    ``policy`` may let a promotion wait for a person. ``completing`` says what else belongs to the same transaction.
    Raises Moved where the champion moved meanwhile, LeaseLost where the job was taken over; nothing is changed then.
    """
    refitted = _refit(store, judged, context) if refit else None
    check = refitted.refit_check if refitted is not None else None
    kept = refitted if check is None or check.stores_refit else None
    outcome = dataclasses.replace(apply_policy(judged, kept, policy), reanalysed=reanalysed, refit_check=check)
    outcome = _measure_cost(outcome)
    result = extend(_describe(outcome, trained or judged, context))
    if dry_run:
        return result
    return commit(store, outcome, result, context.seed, completing)


def apply_policy(judged: JudgedProposal, refit: TrainedCandidate | None, policy: PromotionPolicy) -> Outcome:
    """The verdict; a promotion that the policy objects to awaits approval instead."""
    decision = UpdateDecision(judged.verdict.decision)
    outcome = Outcome(judged, decision, refit)
    if decision is UpdateDecision.PROMOTE:
        objections = policy(judged, outcome.candidate.model)
        if objections:
            outcome = dataclasses.replace(outcome, decision=UpdateDecision.AWAITING_APPROVAL, objections=objections)
    logger.info(
        "%s: %s of %s against %s",
        judged.proposal.update_input.card.name,
        outcome.decision,
        judged.proposal.strategy,
        outcome.champion,
    )
    return outcome


def _refit(store: Store, judged: JudgedProposal, context: Context) -> TrainedCandidate | None:
    if judged.verdict.decision != "promote":
        return None
    proposal = judged.proposal
    metric = judged.scores.shown_metric
    return refit_on_all_rows(store, proposal.update_input, proposal.candidate, context, metric)


def _measure_cost(outcome: Outcome) -> Outcome:
    """The outcome with what champion and challenger cost to serve, and how the one does not fit for the other."""
    update_input, model = outcome.update_input, outcome.candidate.model
    cost = measure_serving_cost(update_input.champion, model, update_input.judged_rows.frame)
    breaks = find_breaks(update_input.champion, model, cost)
    return dataclasses.replace(outcome, serving_cost=outcome.judged.proposal.serving_cost or cost, breaks=breaks)


def _describe(outcome: Outcome, trained: JudgedProposal, context: Context) -> UpdateResult:
    """What happened, as it is shown and stored."""
    judged, update_input, refit = outcome.judged, outcome.update_input, outcome.refit
    verdict = judged.verdict
    listed = trained.proposal.listed or (trained.proposal.candidate,)
    table = list_candidates(trained, trained.scores.shown_metric, context)
    seconds = sum(candidate.seconds for candidate in listed) + (refit.seconds if refit else 0.0)
    return UpdateResult(
        name=update_input.card.name,
        decision=outcome.decision,
        champion=outcome.champion,
        challenger=None,
        strategy=judged.proposal.strategy,
        settings=judged.proposal.settings,
        metric=judged.scores.shown_metric,
        scores=build_score_table(judged.scores),
        reasons=(
            *update_input.remarks,
            *describe_reasons(verdict),
            *(_compare_other_answers(judged) if update_input.champion.contract.outputs else ()),
            *(refit.remarks if refit else ()),
            *(objection.describe() for objection in outcome.objections),
            *table.advice,
        ),
        rows_needed=verdict.rows_needed,
        policy=verdict.policy,
        graded=verdict.graded,
        stopped_by=verdict.stopped_by,
        candidates=table.candidates,
        data=describe_data(update_input),
        refit=refit is not None,
        refit_check=outcome.refit_check,
        training_seconds=seconds,
        in_service=outcome.champion,
        rejudged=describe_reanalysis(outcome),
        serving_cost=outcome.serving_cost,
        breaks=outcome.breaks,
    )


def _compare_other_answers(judged: JudgedProposal) -> tuple[str, ...]:
    from evermodel.registry.adoption.signatures.named_outputs import compare_others

    proposal = judged.proposal
    return compare_others(proposal.update_input.champion, proposal.candidate.model, proposal.update_input.judged_rows)


def result_fields(result: UpdateResult) -> dict[str, Any]:
    """The fields of an update's result, for the result of a command that shows more."""
    return {f.name: getattr(result, f.name) for f in dataclasses.fields(UpdateResult)}
