"""What is kept about the adoption of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from evermodel.core.records.column_roles import Roles
from evermodel.core.records.data_summary import CleaningSummary


class Subject(Enum):
    """What had to be known about a deployed model before it could be used."""

    INPUT = "input"  # scaling, and encoding of categories
    CLASSES = "classes"  # their order in the output
    TARGET = "target"  # what was done to the target before training
    OUTPUT = "output"  # probabilities, scores before a sigmoid, or values
    ANSWER = "answer"  # free text, and of what length


class Basis(Enum):
    """Where the knowledge comes from, the surest first."""

    GIVEN = "given"  # the user said it
    FILE = "file"  # the model file says it
    PREDICTIONS = "predictions"  # the deployed model's own answers leave no other
    NEAREST = "nearest"  # the deployed model's own answers are near these, and not the same
    PROVEN = "proven"  # the reference rows show it beyond doubt
    USUAL = "usual"  # the usual reading, which nothing contradicts


@dataclass(frozen=True)
class Inference:
    """One thing that was settled about the model, on which basis, and what came second.

    ``skill``: share of the trivial baseline's loss that the choice removes. ``lead``: how far it is ahead of the
    runner-up, in standard errors of the paired difference, or in nats for an order of classes.
    """

    subject: Subject
    choice: str
    basis: Basis
    skill: float | None = None
    runner_up: str = ""
    runner_up_skill: float | None = None
    lead: float | None = None
    rows: int = 0


@dataclass(frozen=True)
class Parity:
    """How near the adopted model's answers are to the deployed model's own, on the reference rows.

    ``same``: they are equal but for rounding. ``estimated``: the scaler was learnt from the reference rows.
    """

    rows: int
    largest: float
    mean: float
    different_labels: int = 0
    same: bool = True
    estimated: bool = False


@dataclass(frozen=True)
class TriedInput:
    """One way to feed the model, and the share of the trivial baseline's loss that it removed (1: all, <= 0: none)."""

    scaling: str
    encoding: str
    skill: float


@dataclass(frozen=True)
class AdoptionRequest:
    """What a person asked of an adoption; kept with a model that waits for its first rows."""

    roles: Roles
    task: str = "auto"
    shuffled: bool = False
    source: str = ""
    source_digest: str = ""
    classes: tuple[str, ...] = ()
    target_transform: str = ""
    unscaled: bool = False  # the columns go in as they are
    scaling: str = ""  # by its name, with functions of columns: standard,log1p:amount


@dataclass(frozen=True)
class AdoptionRecord:
    """What an adoption found. ``tried``: the best ways to feed the model, best first; empty where it was given."""

    scores: Mapping[str, float] = field(default_factory=dict)  # metric -> on the reference rows
    cleaning: CleaningSummary | None = None
    tried: tuple[TriedInput, ...] = ()
    inferences: tuple[Inference, ...] = ()
    parity: Parity | None = None  # with the deployed model's own answers, where they were given
    learned_scaling: float = 0.0  # share of the held-out loss saved by a learned scale and shift a column; 0: none
    request: AdoptionRequest | None = None  # only of a model that was adopted without rows
