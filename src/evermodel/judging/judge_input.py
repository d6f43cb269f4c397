"""What the judge is given: both models' predictions for the same rows, their costs, comparisons of earlier updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.plugins import FunctionKind
from evermodel.core.records.verdict import Comparison, Cost, Reason, VoteCount


@dataclass(frozen=True)
class PairedPredictions:
    """The same rows, predicted by both models.

    ``champion`` and ``challenger`` are (n,) values for regression, (n, k) probabilities for classification; ``y`` (n,)
    holds values or class codes 0 … k-1; ``groups`` (n,) says which rows depend on each other (the same entity, or the
    same stretch of time). ``slices``: "sex=f" -> (n,) bool.
    """

    y: Array
    champion: Array
    challenger: Array
    groups: Array | None = None
    slices: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class OtherAnswer:
    """An answer of a model with several that is not the judged one: its task, and both models' on the new rows."""

    task: Task
    rows: PairedPredictions


@dataclass(frozen=True)
class JudgeInput:
    """Everything a gate may use.

    ``analysis`` 2 is the second interim analysis of a challenger that was held before against the same champion; then
    ``new`` holds the rows of both. ``n_analyses``: how many were planned when the challenger was first judged.
    """

    task: Task
    metric: str  # the primary metric, a plugin of metrics/: its paired differences are the evidence
    new: PairedPredictions
    past: PairedPredictions | None = None  # rows known before
    earlier_updates: tuple[Comparison, ...] = ()  # of the same recipe, newest first
    champion_cost: Cost | None = None
    challenger_cost: Cost | None = None
    trivial_predictions: Array | None = None  # the trivial baseline's predictions for `new`, shaped like the champion's
    usual_skill: float | None = None  # share of the trivial baseline's loss that the model usually removes, 1 = all
    guard: str | None = None  # the user's metric where another is primary: it may not fall either
    in_time: bool = False  # the rows come in the order of time, so that an old concept may be left behind
    in_sample: PairedPredictions | None = None  # rows that the champion was trained on: shown, never judged by
    other_answers: Mapping[str, OtherAnswer] = field(default_factory=dict)  # by target column
    guarded: PairedPredictions | None = None  # rows that the user named, on which the challenger may not get worse
    votes: VoteCount | None = None  # of people who saw both models' answers
    seed: int = 0
    analysis: int = 1
    n_analyses: int = 1

    @property
    def shown_metric(self) -> str:
        """The metric that people look at first: the guard where there is one, else the primary one."""
        return self.guard or self.metric


class Gate(Protocol):
    """The function of a gate plugin: answers one question about a challenger, with one reason."""

    __name__: str

    def __call__(self, judge_input: JudgeInput, /, **settings: Any) -> Reason: ...


GATES: FunctionKind[Gate, ModuleType] = FunctionKind("gates", ModuleType)
