"""What the judge looks at and what it says: paired scores, comparisons, reasons, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from evermodel.core.table import Array

Decision = Literal["promote", "hold", "reject", "invalid"]
Finding = Literal["pass", "hold", "fail", "invalid"]


@dataclass(frozen=True)
class PairedRows:
    """The same rows, predicted by both models.

    ``champion`` and ``challenger`` are (n,) values for regression, (n, k) probabilities for classification; ``y`` (n,)
    holds values or class codes 0 … k-1; ``groups`` (n,) says which rows hang together (entity, or stretch of time).
    """

    y: Array
    champion: Array
    challenger: Array
    groups: Array | None = None
    slices: Mapping[str, Array] = field(default_factory=dict)  # "sex=f" -> (n,) bool

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Comparison:
    """One metric of both models on the same rows.

    ``difference`` is challenger - champion; ``low`` to ``high`` holds it with ``confidence``, two-sided.
    NaN: the rows do not determine it.
    """

    metric: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n: int
    higher_is_better: bool
    method: str  # "McNemar", "DeLong", "paired bootstrap", …
    confidence: float = 0.95
    standard_error: float = float("nan")
    p_value: float = float("nan")  # two-sided, of no difference

    @property
    def gain(self) -> float:
        """The difference, positive where the challenger is better."""
        return self.difference if self.higher_is_better else -self.difference

    @property
    def gain_low(self) -> float:
        return self.low if self.higher_is_better else -self.high

    @property
    def gain_high(self) -> float:
        return self.high if self.higher_is_better else -self.low


@dataclass(frozen=True)
class Cost:
    """What a model costs to run: p50 seconds for one batch of ``rows`` rows, and bytes as saved."""

    latency: float
    rows: int
    size: int


@dataclass(frozen=True)
class PairedScores:
    """Everything a gate may look at. ``earlier`` holds comparisons of former updates by the same recipe, newest first.

    ``look`` 2 says that this very challenger was held before against this very champion, and that ``new`` holds the
    rows of both looks; ``looks`` says how many looks were planned when it was first judged.
    """

    task: Literal["binary", "multiclass", "regression"]
    metric: str  # the metric the user cares for, a plug of metrics/
    new: PairedRows
    past: PairedRows | None = None
    earlier: tuple[Comparison, ...] = ()
    champion_cost: Cost | None = None
    challenger_cost: Cost | None = None
    trivial: Array | None = None  # the trivial baseline's predictions for `new`, shaped like the champion's
    usual_skill: float | None = None  # share of the trivial loss that the model usually removes, 1 = all
    seed: int = 0
    look: int = 1
    looks: int = 1


@dataclass(frozen=True)
class Reason:
    """What one gate found, in words, with the numbers behind it."""

    gate: str
    finding: Finding
    text: str
    comparison: Comparison | None = None
    rows_needed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What happens to the challenger, and why. ``rows_needed`` (hold only): how many judged rows would do."""

    decision: Decision
    reasons: tuple[Reason, ...]
    comparisons: tuple[Comparison, ...] = ()
    rows_needed: int | None = None


class Gate(Protocol):
    """One file in ``gates/``: looks at paired scores, gives one reason."""

    def __call__(self, pair: PairedScores, /) -> Reason: ...
