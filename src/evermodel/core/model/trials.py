"""A search over hyperparameters: what a tuner asks, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from evermodel.core.model.search_space import Space
from evermodel.core.plugins import FunctionKind
from evermodel.core.records.search_record import Trial, Values


@dataclass(frozen=True)
class Racing:
    """When a trial is given up: never in its first third of epochs; then where it trails the best beyond its lead.

    ``slack``: how far, in score, it may trail after the first third besides what the best itself still gained from
    there; it is looked at in the first fold only. ``sure``: how many standard errors its mean over the folds so far
    may trail the best's.
    """

    slack: float = 0.03
    sure: float = 1.5
    first: float = 0.3  # share of the epochs before which nothing is given up


class Search(Protocol):
    """What a tuner works with: it chooses points, the search trains and scores them, once each, and writes them down.

    A point that was run before costs nothing and is told again. ``over`` is true when the trials, the time or the
    points are spent: a tuner then returns.
    """

    space: Space
    seed: int

    def over(self) -> bool: ...
    def trials(self) -> Sequence[Trial]: ...  # finished ones, oldest first
    def run(self, values: Values, /, *, racing: Racing | None = None) -> Trial: ...
    def step(self, sampler: Any, /, *, racing: Racing | None = None) -> Trial: ...  # an Optuna sampler chooses


class Tuner(Protocol):
    """One file in ``tuners/``: spends the trials of a search. Deterministic given ``search.seed`` in one process."""

    __name__: str

    def __call__(self, search: Search, /, **settings: Any) -> None: ...


TUNERS: FunctionKind[Tuner, ModuleType] = FunctionKind("tuners", ModuleType)


@dataclass(frozen=True)
class SearchResult:
    """What a search ended with."""

    best: Trial
    incumbent: Trial
    trials: tuple[Trial, ...]
    epochs: int
    importances: dict[str, float] = field(default_factory=dict)
    resumed: int = 0  # trials that an earlier run of this search had finished
