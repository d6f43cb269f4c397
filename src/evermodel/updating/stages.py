"""The typed objects that the pipeline hands from stage to stage, each frozen.

``UpdateInput`` (read_input.py) → ``TrainedCandidate`` (candidates.py) → ``Proposal`` → ``JudgedProposal`` → ``Outcome``
→ ``commit`` (commit.py), which returns the recorded result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.records.event import Event
from evermodel.core.records.job import Done
from evermodel.core.records.promotion_objection import PromotionObjection
from evermodel.core.records.search_record import FusionMember, PruningRecord, ServingCost, TuningRecord
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.update_record import DropInBreak, RefitCheck
from evermodel.core.records.verdict import Comparison, Cost, Verdict
from evermodel.core.store import Move
from evermodel.judging.judge_input import JudgeInput
from evermodel.judging.judge_request import JudgeTerms
from evermodel.registry.update_result import UpdateResult
from evermodel.updating.trained_candidate import TrainedCandidate
from evermodel.updating.update_input import UpdateInput


@dataclass(frozen=True)
class Proposal:
    """A trained candidate, how it is named in the log, and what the judge is asked about it.

    Whatever makes models (update, tune, prune, fuse) hands one of these to ``pipeline.run``.
    """

    update_input: UpdateInput
    candidate: TrainedCandidate
    strategy: str
    settings: Mapping[str, Any]
    terms: JudgeTerms
    costs: tuple[Cost, Cost] | None = None  # of champion and challenger, measured alike
    listed: tuple[TrainedCandidate, ...] = ()  # shown as candidates; empty: the candidate alone
    choosing: Array | None = None  # positions among the judged rows that chose the candidate; None: nothing was chosen
    confirming: Array | None = None  # and those that took no part in the choice, which judge; None: all
    tuning: TuningRecord | None = None  # how the candidate was found, for the version's card
    pruning: PruningRecord | None = None
    fusion: tuple[FusionMember, ...] = ()
    serving_cost: ServingCost | None = None
    reanalysed_when_held: bool = False  # where it is held, the next update's rows judge it once more

    @property
    def judging_rows(self) -> Table:
        rows = self.update_input.judged_rows
        return rows if self.confirming is None else rows.rows(self.confirming)


@dataclass(frozen=True)
class JudgedProposal:
    """A proposal with both models' scores on the judging rows, and the verdict."""

    proposal: Proposal
    scores: JudgeInput
    verdict: Verdict
    stored_version: str | None = None  # set where it was stored by an earlier update, which held it

    @property
    def evidence(self) -> Comparison | None:
        """The comparison by the metric that people look at; None where no gate made one."""
        return next((c for c in self.verdict.comparisons if c.metric == self.scores.shown_metric), None)

    @property
    def primary_evidence(self) -> Comparison | None:
        """The comparison by the primary metric; None where no gate made one."""
        return next((c for c in self.verdict.comparisons if c.metric == self.scores.metric), None)

    @property
    def gain(self) -> float:
        """The gain at the point estimate by the primary metric; -inf where no gate compared."""
        return float("-inf") if self.primary_evidence is None else self.primary_evidence.gain


@dataclass(frozen=True)
class Outcome:
    """What is decided, after the policy; ``challenger`` is its version once it is stored."""

    judged: JudgedProposal
    decision: UpdateDecision
    refit: TrainedCandidate | None = None  # the winner trained with the judged rows as well
    refit_check: RefitCheck | None = None  # how it compares with the judged one; where it does not, that is stored
    serving_cost: ServingCost | None = None  # of the champion and of what is stored
    breaks: tuple[DropInBreak, ...] = ()  # how that does not fit where the champion stands
    objections: tuple[PromotionObjection, ...] = ()
    challenger: str | None = None
    reanalysed: JudgedProposal | None = None  # the challenger held before, where it was judged again

    @property
    def update_input(self) -> UpdateInput:
        return self.judged.proposal.update_input

    @property
    def champion(self) -> str:
        """The version in service before."""
        return self.update_input.card.version

    @property
    def candidate(self) -> TrainedCandidate:
        """What is stored, and served if it is promoted: the refit model where there is one, else the judged one."""
        return self.refit or self.judged.proposal.candidate

    @property
    def in_service(self) -> str:
        """The version in service afterwards."""
        promoted = self.decision is UpdateDecision.PROMOTE and self.challenger is not None
        return str(self.challenger) if promoted else self.champion

    @property
    def training_processor_seconds(self) -> float:
        spent = self.judged.proposal.candidate.processor_seconds
        return spent + (self.refit.processor_seconds if self.refit else 0.0)


class PromotionPolicy(Protocol):
    """Says what speaks against a promotion that the judge grants. Interactive commands have nothing to say."""

    def __call__(self, judged: JudgedProposal, model: Model, /) -> tuple[PromotionObjection, ...]:
        """``model`` is what would go into service. An objection lets it wait for a person's approval."""


def no_objections(judged: JudgedProposal, model: Model, /) -> tuple[PromotionObjection, ...]:
    """The policy of a person at the keyboard: the judge's verdict stands."""
    return ()


@dataclass(frozen=True)
class Completion:
    """What else is written in the same transaction as an outcome: a maintenance job's state, events and end.

    With ``done`` the transaction is refused (LeaseLost) where another worker has taken the job over.
    """

    moves: tuple[Move, ...] = ()
    events: tuple[Event, ...] = ()
    done: Done | None = None


Completing = Callable[[Outcome, UpdateResult], Completion]


def nothing_more(outcome: Outcome, result: UpdateResult, /) -> Completion:
    """An outcome that nobody else waits for."""
    return Completion()
