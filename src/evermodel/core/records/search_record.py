"""What a search tried before it proposed a challenger: trials of hyperparameters, of pruning ratios, fused versions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

COST_LIMIT = 1.1  # times the champion's cost: more, and the challenger does not fit where the champion stands
Value = int | float | str | bool
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Trial:
    """One point of the space, and how it scored: the mean over its folds, higher is better.

    ``stopped``: it was behind the best beyond doubt; its score is the best's less how far it trailed until then.
    """

    number: int
    values: Values
    score: float
    state: Literal["whole", "stopped", "failed"]
    folds: tuple[float, ...] = ()
    epochs: int = 0  # trained in all, over the folds; 0 where it was known from before
    seconds: float = 0.0
    note: str = ""  # "as deployed", "best of an earlier study", why it failed, …


@dataclass(frozen=True)
class TuningRecord:
    """A search over hyperparameters: its trials, the point it chose, and the point that is deployed."""

    trials: tuple[Trial, ...]
    best: Values
    incumbent: Values
    epochs: int = 0  # trained by all trials, over all folds
    space: Mapping[str, Any] = field(default_factory=dict)  # as ``Space.as_json`` gives it
    importances: Mapping[str, float] = field(default_factory=dict)  # share of the score's variance


@dataclass(frozen=True)
class PruningTrial:
    """One ratio that was tried: what is left of latency and size, and the score on the rows to choose by."""

    ratio: float
    latency: float  # times the parent's
    size: float  # times the parent's
    score: float
    seconds: float
    pareto: bool = False  # no other point is both faster and better


@dataclass(frozen=True)
class PruningRecord:
    """The ratio that was chosen, the champion's score on the rows it was chosen by, and all trials by ratio."""

    ratio: float = math.nan
    champion_score: float = math.nan
    trials: tuple[PruningTrial, ...] = ()


@dataclass(frozen=True)
class FusionMember:
    """One of the fused versions, and what it scored on the rows the choice was made on."""

    version: str
    score: float


@dataclass(frozen=True)
class ServingCost:
    """What answering takes and what the files weigh, of champion and challenger. NaN and 0: not measured."""

    latency: tuple[float, float] = (math.nan, math.nan)  # seconds a batch
    size: tuple[int, int] = (0, 0)  # bytes
    compressed: bool = False  # size is that of the compressed files: all that this way of pruning saves
    latency_one: tuple[float, float] = (math.nan, math.nan)  # seconds a single row
    rows: int = 0  # of the batch
    inputs: tuple[int, int] = (0, 0)  # numbers of a row as the model object takes it, or columns

    @property
    def is_within_limit(self) -> bool:
        """Whether the challenger costs at most 1.1 times what the champion costs; what is not measured is within."""
        pairs = [(before, after) for before, after in (self.latency, self.latency_one, self.size) if before > 0]
        return all(not after > COST_LIMIT * before for before, after in pairs)
