"""The parts of an explanation, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl

from evermodel.core.arrays import Array


@dataclass(frozen=True)
class FlipCount:
    """Rows that changed hands between two versions.

    Classification: ``wins`` were wrong and became right, ``losses`` were right and became wrong (negative flips).
    Regression: the error became smaller, or larger. ``net`` is (wins - losses) / rows; ``low`` to ``high`` holds it
    with 95 % confidence.
    """

    rows: int
    wins: int
    losses: int
    net: float
    low: float
    high: float


class ConditionKind(StrEnum):
    """What a condition asks of a value."""

    AT_MOST = "<="
    ABOVE = ">"
    EQUAL = "="
    MISSING = "is missing"


@dataclass(frozen=True)
class Condition:
    """A test of one column."""

    column: str
    kind: ConditionKind
    value: float | str = ""

    @property
    def text(self) -> str:
        """ "age > 52", "plan = basic"."""
        shown = f"{self.value:.4g}" if isinstance(self.value, float) else self.value
        return f"{self.column} {self.kind} {shown}".rstrip()

    def select(self, frame: pl.DataFrame) -> Array:
        """(n,) bool: the rows that meet the condition."""
        values = frame[self.column]
        if self.kind is ConditionKind.MISSING:
            return values.is_null().to_numpy()
        if self.kind is ConditionKind.EQUAL:
            return (values == self.value).fill_null(False).to_numpy()
        x = values.cast(pl.Float64).to_numpy()
        return np.asarray(x <= self.value if self.kind is ConditionKind.AT_MOST else x > self.value)


def select_rows(conditions: Sequence[Condition], frame: pl.DataFrame) -> Array:
    """(n,) bool: the rows that meet all conditions."""
    return np.asarray(np.logical_and.reduce([c.select(frame) for c in conditions]))


@dataclass(frozen=True)
class Segment:
    """Rows that share a condition, such as ``age > 52.0 and plan = basic``, and how the loss changed there.

    ``gain`` is the mean reduction of the loss a row (positive: the new version is better), with its 95 % interval;
    ``elsewhere`` the same for all other rows. All three are measured on rows that took no part in the search.
    ``p_value``: of no difference from the other rows, adjusted by Holm for the segments reported.
    """

    condition: str
    conditions: tuple[Condition, ...]
    rows: int
    share: float
    gain: float
    low: float
    high: float
    elsewhere: float
    p_value: float

    def select(self, frame: pl.DataFrame) -> Array:
        """(n,) bool: the rows of a frame that belong to the segment."""
        return select_rows(self.conditions, frame)

    @property
    def confirmed(self) -> bool:
        """Whether the difference from the other rows is beyond doubt."""
        return self.p_value < 0.05


@dataclass(frozen=True)
class Contribution:
    """What one column adds to the difference of the two versions' outputs.

    ``importance`` is the mean of its absolute contribution over the rows, in the unit of ``Contributions.unit``;
    ``mean`` keeps the sign; ``share`` is its part of all importances.
    """

    column: str
    importance: float
    mean: float
    share: float


@dataclass(frozen=True)
class Contributions:
    """Shapley values of the difference (new output - old output), by column, the largest first.

    For each row they sum to that row's difference minus the mean difference over the background rows;
    ``largest_error`` is the largest departure from that sum. ``exact``: computed, not sampled. ``standard_error`` is
    that of the importances through sampling, at most.
    """

    unit: str
    rows: int
    background_rows: int
    exact: bool
    largest_error: float
    standard_error: float
    columns: tuple[Contribution, ...]


@dataclass(frozen=True)
class ScoreChange:
    """The change of the mean loss from (old version, earlier rows) to (new version, newer rows), in two parts.

    ``by_model`` is what the change of the model did, ``by_data`` what the change of the rows did: each the mean over
    both orders of changing them, so that they sum to the whole. ``losses``: the four mean losses.
    """

    metric: str
    old_rows: int
    new_rows: int
    losses: Mapping[str, float]  # "old version, earlier rows" -> mean loss
    by_model: float
    by_data: float


@dataclass(frozen=True)
class ColumnChange:
    """How far one column moved between the earlier rows and these: the Jensen-Shannon distance, 0 to 1."""

    column: str
    distance: float


@dataclass(frozen=True)
class ChangedRow:
    """One row whose output changed much: its place among the rows given, both outputs, the truth, its inputs."""

    row: int
    old: float
    new: float
    truth: str
    inputs: Mapping[str, str]
