"""What a user asks of the judge, and the terms that follow from it for the model at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evermodel.core.data.task import Task
from evermodel.core.records.verdict import JudgePolicy, Verdict
from evermodel.judging.judge import check_policy, judge
from evermodel.judging.judge_input import GATES, JudgeInput
from evermodel.judging.task_metrics import check_metric_fits, choose_metrics, read_margins

Gates = Mapping[str, Mapping[str, Any] | None]
CONFIDENCE, MOST_CONFIDENCE = 0.95, 0.999
Policy = Literal["better", "no_worse", "refresh", "cheaper"]


@dataclass(frozen=True)
class JudgeTerms:
    """By which metrics, margins, policy and gates one challenger is judged. Margins are in points or percent."""

    policy: JudgePolicy
    metric: str  # primary: its paired differences are the evidence
    guard: str | None = None  # the metric that people look at, where another one is primary
    margin: float | None = None
    guard_margin: float | None = None
    gates: Gates = field(default_factory=dict)  # beside those of the policy

    @property
    def shown_metric(self) -> str:
        """The metric that people look at first."""
        return self.guard or self.metric

    @property
    def shown_margin(self) -> float | None:
        """Its margin, as the user gave it."""
        return self.guard_margin if self.guard else self.margin

    def judge(self, judge_input: JudgeInput, n_judged: int = 0) -> Verdict:
        """The verdict on these terms; ``n_judged`` challengers were judged by the same rows before."""
        return judge(
            judge_input,
            policy=self.policy,
            margin=self.margin,
            guard_margin=self.guard_margin,
            confidence=share_confidence(n_judged) if n_judged else CONFIDENCE,
            gates=self.gates,
        )


def share_confidence(n_judged: int, confidence: float = CONFIDENCE) -> float:
    """Of each statement after ``n_judged`` challengers on the same rows: the error is shared out (Bonferroni)."""
    return min(MOST_CONFIDENCE, 1.0 - (1.0 - confidence) / (1 + n_judged))


@dataclass(frozen=True)
class JudgeRequest:
    """What a user says about the judge; what is None follows from the verb and from the task.

    ``metric`` makes that metric primary. ``margin`` is a number, for the metric that people look at, or metric ->
    number. ``policy`` is better, no_worse, refresh or cheaper. ``gates`` adds gates by name with their settings, or
    with None leaves one out.
    """

    metric: str | None = None
    margin: float | Mapping[str, float] | None = None
    policy: str | None = None
    gates: Gates = field(default_factory=dict)

    def check(self, task: Task) -> None:
        """Raises BadSetting or NotFound, before anything is trained."""
        self.read_terms(task, JudgePolicy.BETTER)

    def read_terms(self, task: Task, default: JudgePolicy) -> JudgeTerms:
        """The terms for a model of ``task``; ``default`` is the policy of the verb. Raises BadSetting, NotFound."""
        check_metric_fits(self.metric, task)
        for name in self.gates:
            GATES.load(name)
        policy = default if self.policy is None else check_policy(self.policy)
        primary, guard = choose_metrics(task, self.metric)
        return JudgeTerms(policy, primary, guard, *read_margins(self.margin, self.metric, task), self.gates)
