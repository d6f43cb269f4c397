"""A challenger that was held is judged once more, on the next update's rows too, against the same champion."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from evermodel.core.data.table import Table
from evermodel.core.records.event import JUDGED, SERVING, Decided, Event, EventKind, HeldEvidence, replace_evidence
from evermodel.core.records.update_record import RejudgedRecord
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.store import Store
from evermodel.judging.judge_request import JudgeTerms
from evermodel.registry.row_memory import read_rows, write_rows
from evermodel.registry.score_table import build_score_table, describe_reasons
from evermodel.registry.update_result import RejudgedChallenger
from evermodel.registry.versions import load_version
from evermodel.updating.recipes import Recipe
from evermodel.updating.stages import JudgedProposal, Outcome, Proposal
from evermodel.updating.trained_candidate import TrainedCandidate, score_candidate
from evermodel.updating.update_input import UpdateInput

HELD_BY = (JudgePolicy.BETTER, JudgePolicy.NO_WORSE)  # policies that hold a challenger for more rows
ANALYSES = 2  # planned for a challenger that may be held: judging.judge.level shares the error out between them


def count_planned_analyses(proposal: Proposal) -> int:
    """How often a challenger may be judged: twice where it can be held and is kept for it, else once."""
    return ANALYSES if proposal.reanalysed_when_held and proposal.terms.policy in HELD_BY else 1


def judge_held_challenger(store: Store, update_input: UpdateInput) -> JudgedProposal | None:
    """The challenger that the last update held, judged on the rows of that update and of this one together.

    None where nothing was held since the champion went into service, or where the new rows need another contract than
    it has. No row of this update was seen by either model, so all of them judge.
    """
    card, log = update_input.card, store.read_events(update_input.card.name)
    held = _find_held(log, card.version)
    if held is None or held.held is None:
        return None
    kept, evidence = held.held, replace_evidence(log, held.held.rows)
    if not evidence:  # its rows were deleted on request
        return None
    challenger = store.read_card(card.name, held.version)
    model = load_version(store, challenger)
    if not model.contract.reads(update_input.champion.contract):
        return None
    model = dataclasses.replace(model, contract=update_input.champion.contract)
    rows = _rows_of_both(store, update_input, evidence)
    if rows is None:
        return None
    candidate = TrainedCandidate(Recipe(challenger.strategy, challenger.settings), model, 0.0, ())
    terms = JudgeTerms(kept.policy, kept.metric, kept.guard or None, kept.margin, kept.guard_margin)
    proposal = Proposal(update_input, candidate, challenger.strategy, challenger.settings, terms)
    others = [e for e in log if e.data is not held]
    scores = score_candidate(store, others, update_input, model, rows, terms, challenger.strategy)
    scores = dataclasses.replace(scores, analysis=2, n_analyses=ANALYSES)
    verdict = terms.judge(scores)
    return JudgedProposal(proposal, scores, verdict, challenger.version)


def choose_winner(trained: JudgedProposal, held: JudgedProposal | None) -> JudgedProposal:
    """Of two that pass, the larger gain; of one that passes, it; else the one that was trained now."""
    if held is None or held.verdict.decision != "promote":
        return trained
    if trained.verdict.decision == "promote" and trained.gain >= held.gain:
        return trained
    return held


def keep_for_reanalysis(store: Store, judged: JudgedProposal) -> HeldEvidence | None:
    """What the event of a held challenger keeps for its second analysis; None where there will be none."""
    proposal = judged.proposal
    if judged.verdict.decision != "hold" or not proposal.reanalysed_when_held:
        return None
    rows = write_rows(store, proposal.judging_rows.frame)
    terms = proposal.terms
    return HeldEvidence(rows, terms.metric, terms.margin, terms.guard or "", terms.guard_margin, terms.policy)


def record_reanalysis(outcome: Outcome) -> RejudgedRecord | None:
    """The second analysis as the version's card keeps it."""
    held = outcome.reanalysed
    if held is None:
        return None
    won = outcome.judged.stored_version is not None
    scores = {rows: dict(by_metric) for rows, by_metric in build_score_table(held.scores).items()}
    return RejudgedRecord(str(held.stored_version), won, held.scores.shown_metric, held.verdict, scores)


def describe_reanalysis(outcome: Outcome) -> RejudgedChallenger | None:
    """The second analysis as results show it."""
    held = outcome.reanalysed
    if held is None:
        return None
    return RejudgedChallenger(
        str(held.stored_version),
        held.proposal.strategy,
        held.verdict.decision,
        outcome.judged.stored_version is not None,
        held.scores.shown_metric,
        build_score_table(held.scores),
        describe_reasons(held.verdict),
    )


def _find_held(log: Sequence[Event], champion: str) -> Decided | None:
    """The event of the challenger that the last update held against ``champion``; None where it decided otherwise."""
    decisions = {*JUDGED, *SERVING, EventKind.DECLINED} - {EventKind.QUARANTINED}  # whose rows do not count
    last = next((e for e in reversed(log) if e.kind in decisions), None)
    held = last.data if last is not None and last.kind is EventKind.HELD else None
    return held if isinstance(held, Decided) and held.champion == champion else None


def _rows_of_both(store: Store, update_input: UpdateInput, first: str) -> Table | None:
    """The rows that judged when it was held, and all rows of this update."""
    number = update_input.memory.next_number - 1
    rows = read_rows(store, update_input.champion.contract, [(number, first)])
    if rows is None:
        return None
    new = dataclasses.replace(update_input.new, blocks=None)
    return dataclasses.replace(rows, blocks=None).with_rows(new)
