"""What is kept about how a challenger was made and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from evermodel.core.records.data_summary import DataSummary
from evermodel.core.records.figures import Figures
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import FusionMember, PruningRecord, ServingCost, TuningRecord
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.verdict import Comparison, Verdict


class DropInBreak(StrEnum):
    """What whoever swaps the deployed file for the new one has to change or to pay."""

    STRUCTURE = "structure"  # several models stand side by side where one stood
    INPUTS = "inputs"  # other columns, or more of them
    OUTPUTS = "outputs"  # another number of outputs: classes came
    TRANSFORM = "transform"  # rows are to be encoded or normalised otherwise
    CORRECTION = "correction"  # its answers are corrected outside the file
    SIZE = "size"  # more than 1.1 times the bytes
    LATENCY = "latency"  # more than 1.1 times the time


@dataclass(frozen=True)
class Score:
    """One metric of champion and challenger on the same rows, with the interval of the difference."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n: int


Scores = Mapping[str, Mapping[str, Score]]  # "new" | "past" -> metric -> score


@dataclass(frozen=True)
class Candidate:
    """One way the update could have gone, and what it scored on the judged rows."""

    strategy: str
    settings: Mapping[str, Any]
    score: float
    seconds: float
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class RejudgedRecord:
    """A challenger that an earlier update held, judged again on the rows of both updates, pooled."""

    version: str
    promoted: bool
    metric: str
    verdict: Verdict
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class OutputCorrection:
    """How the answers of a newly trained model were moved: gain * value + offset, or an offset of the log odds."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class RefitCheck:
    """How the model refit on all rows compares with the judged one, and which of the two is stored.

    ``difference``: how far their answers for the judged rows lie apart: half the sum of the differences of
    probabilities, or the root mean squared difference in standard deviations of the target; mean over ``rows``.
    ``past``: both on rows known before, the judged one as champion.
    """

    difference: float
    limit: float
    rows: int
    past: Comparison | None = None
    stores_refit: bool = True


@dataclass(frozen=True)
class UpdateRecord:
    """How one challenger was made, what it scored, and what the judge said.

    ``verdict`` and ``scores`` are of the judged model. Where ``refit`` is true, the version stored was trained once
    more by the same recipe, with the judged rows included.
    """

    metric: str  # that people look at first
    verdict: Verdict  # the judge's; ``decision`` is what became of it after the promotion policy
    decision: UpdateDecision
    scores: Scores = field(default_factory=dict)
    data_remarks: tuple[str, ...] = ()  # about the rows of the update, in words
    refit_remarks: tuple[str, ...] = ()  # about the version that was stored, in words
    margin: float | None = None  # of that metric, as the user gave it
    primary: str = ""  # the metric whose paired differences decided; "": the same
    primary_margin: float | None = None
    candidates: tuple[Candidate, ...] = ()
    data: DataSummary = field(default_factory=DataSummary)
    refit: bool = False
    refit_check: RefitCheck | None = None  # None: nothing was refit
    blended_with: str = ""  # the role of a former model whose answer is part of the version's
    training_seconds: float = 0.0  # of all that was trained, refitting included
    curve: tuple[Epoch, ...] = ()
    rejudged: RejudgedRecord | None = None
    tuning: TuningRecord | None = None
    pruning: PruningRecord | None = None
    fusion: tuple[FusionMember, ...] = ()
    cost: ServingCost | None = None
    correction: OutputCorrection | None = None  # of its answers, held in its last layer or its leaves
    breaks: tuple[DropInBreak, ...] = ()  # how the version does not fit where the one before it stood
    figures: Figures | None = None

    @property
    def evidence(self) -> Comparison | None:
        """The comparison by the metric that people look at; None where no gate made one."""
        return next((c for c in self.verdict.comparisons if c.metric == self.metric), None)

    @property
    def primary_evidence(self) -> Comparison | None:
        """The comparison by the metric that decided; None where no gate made one."""
        decides = self.primary or self.metric
        return next((c for c in self.verdict.comparisons if c.metric == decides), None)
