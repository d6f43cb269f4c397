"""Commits an outcome: the new version, the remembered rows, the event and the champion, all or nothing."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from evermodel.core.contracts.column_profile import profile_columns
from evermodel.core.data.table import Table
from evermodel.core.files import reports_full_registry
from evermodel.core.records.event import Decided
from evermodel.core.records.update_decision import EVENT_KINDS, UpdateDecision
from evermodel.core.records.update_record import UpdateRecord
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move, Store
from evermodel.judging.baseline_skill import measure_skill
from evermodel.judging.diagnostics import compute_figures
from evermodel.judging.judge_input import GATES
from evermodel.registry.lookup import event, now
from evermodel.registry.row_memory import RowMemory, remember_rows, write_memory
from evermodel.registry.update_result import UpdateResult
from evermodel.registry.versions import framework_name, package_versions, put_version
from evermodel.updating.stages import Completing, Outcome, nothing_more
from evermodel.updating.trained_candidate import score_candidate
from evermodel.updating.verdicts.reanalysis import keep_for_reanalysis, record_reanalysis

R = TypeVar("R", bound=UpdateResult)
MOST_QUARANTINED = 3  # blocks of quarantined rows that are kept to be tried again


@reports_full_registry
def commit(store: Store, outcome: Outcome, result: R, seed: int, completing: Completing = nothing_more) -> R:
    """Stores the challenger, then moves champion and memory and appends the event in one transaction.

    ``completing`` says what else that transaction holds. Returns ``result`` with the versions as committed. Raises
    Moved where the champion or the memory moved meanwhile, LeaseLost where the job of ``completing`` was taken over:
    then nothing but an unused version was written.
    """
    update_input, judged = outcome.update_input, outcome.judged
    name = update_input.card.name
    if judged.stored_version is not None and outcome.refit is None:  # stored when it was held, as it was judged
        card = store.read_card(name, judged.stored_version)
    else:
        card = put_version(store, outcome.candidate.model, _card(outcome, result, seed), update_input.new.frame)
    outcome = dataclasses.replace(outcome, challenger=card.version)
    result = dataclasses.replace(result, challenger=card.version, in_service=outcome.in_service)
    memory = _remember(store, outcome)
    # Where the champion stays, that is stated as well: a verdict against a former champion is void.
    moves = [
        Move("memory", memory.digest, update_input.replaced_memory or update_input.memory.digest or None),
        Move("champion", outcome.in_service, outcome.champion),
    ]
    recorded = event(name, EVENT_KINDS[outcome.decision], _decided(store, outcome, result))
    more = completing(outcome, result)
    store.commit_moves(name, [*moves, *more.moves], [*more.events, recorded], more.done)
    return result


def _card(outcome: Outcome, result: UpdateResult, seed: int) -> VersionCard:
    """The version's card, without the number that the store gives it."""
    update_input, candidate = outcome.update_input, outcome.candidate
    parent = update_input.card
    return VersionCard(
        parent.name,
        "",
        parents=(parent.version,),
        strategy=result.strategy,
        settings=dict(result.settings),
        seed=seed,
        framework=framework_name(candidate.model),
        created=now(),
        data={"new": update_input.source, "memory": update_input.memory.digest},
        packages=package_versions(),
        source=parent.source,
        shuffled=parent.shuffled,
        reference_is_stand_in=parent.reference_is_stand_in,
        update=_update_record(outcome, result),
        profile=profile_columns(update_input.new.frame.lazy(), update_input.champion.contract),
    )


def _update_record(outcome: Outcome, result: UpdateResult) -> UpdateRecord:
    """How the challenger was made and judged."""
    update_input, candidate, judged = outcome.update_input, outcome.candidate, outcome.judged
    proposal = judged.proposal
    return UpdateRecord(
        judged.scores.shown_metric,
        judged.verdict,
        outcome.decision,
        scores={rows: dict(by_metric) for rows, by_metric in result.scores.items()},
        data_remarks=update_input.remarks,
        refit_remarks=outcome.refit.remarks if outcome.refit is not None else (),
        margin=proposal.terms.shown_margin,
        primary=proposal.terms.metric,
        primary_margin=proposal.terms.margin,
        candidates=result.candidates,
        data=result.data,
        refit=outcome.refit is not None,
        refit_check=outcome.refit_check,
        blended_with=candidate.blended_with,
        training_seconds=result.training_seconds,
        curve=proposal.candidate.curve or candidate.curve,
        rejudged=record_reanalysis(outcome),
        tuning=proposal.tuning,
        pruning=proposal.pruning,
        fusion=proposal.fusion,
        cost=outcome.serving_cost,
        breaks=outcome.breaks,
        correction=candidate.correction,
        figures=compute_figures(judged.scores, candidate.model.contract.classes),
    )


def _remember(store: Store, outcome: Outcome) -> RowMemory:
    """The memory of rows after this update: the new ones remembered, or quarantined where they could not judge."""
    update_input = outcome.update_input
    if update_input.cleaned is None:  # no new rows came
        return update_input.memory
    known = dataclasses.replace(update_input.memory, classes=update_input.champion.contract.classes)
    if outcome.decision is not UpdateDecision.INVALID:
        clean = dataclasses.replace(known, quarantined=())
        quarantined = update_input.quarantined
        if quarantined is not None and _has_usual_skill_on(store, outcome, quarantined):
            none = np.zeros(len(quarantined), dtype=bool)
            clean = remember_rows(store, clean, quarantined, none, "quarantined before")
        new, reserved, n_judged = update_input.new, update_input.is_reserved, update_input.n_judged_before + 1
        return remember_rows(store, clean, new, reserved, update_input.source, n_judged=n_judged)
    staged = store.staging_folder() / "quarantined.parquet"
    update_input.cleaned.collect().frame.write_parquet(staged)
    blocks = (*update_input.memory.quarantined, store.put_blob(staged))[-MOST_QUARANTINED:]
    return write_memory(store, dataclasses.replace(known, quarantined=blocks))


def _has_usual_skill_on(store: Store, outcome: Outcome, rows: Table) -> bool:
    """Whether a challenger that learnt from the rows since has its usual skill on quarantined rows: then they are true.

    Wrong labels have come back with the next rows otherwise, and cost up to thirty points (``bench/poison.py``).
    """
    update_input, proposal = outcome.update_input, outcome.judged.proposal
    log = store.read_events(update_input.card.name)
    model, terms = proposal.candidate.model, proposal.terms
    scores = score_candidate(store, log, update_input, model, rows, terms, proposal.strategy)
    finding: str = GATES.load("skill")(scores).finding
    return finding == "pass"


def _decided(store: Store, outcome: Outcome, result: UpdateResult) -> Decided:
    """The event's data. The evidence is on the version's card, unless an earlier update stored that."""
    judged = outcome.judged
    stored_before = judged.stored_version is not None and outcome.refit is None
    skill = measure_skill(judged.scores, judged.scores.new.challenger)[0]
    return Decided(
        str(outcome.challenger),
        outcome.champion,
        result.strategy,
        judged.scores.shown_metric,
        result.data.rows,
        result.reasons,
        outcome.objections,
        skill if np.isfinite(skill) else None,
        judged.proposal.candidate.seconds,
        outcome.training_processor_seconds,
        keep_for_reanalysis(store, judged),
        judged.evidence if stored_before else None,
        judged.primary_evidence if stored_before else None,
    )
