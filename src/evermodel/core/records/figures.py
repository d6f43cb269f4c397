"""What can be drawn of two models' predictions for the judged rows: few numbers, however many rows.

"Champion" and "challenger" are the keys of each mapping by model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Points = tuple[tuple[float, ...], ...]  # (n, 2): x and y


@dataclass(frozen=True)
class CommonConfusion:
    """Rows of the class ``true`` that were answered ``answer``, by each model; both are class codes."""

    true: int
    answer: int
    champion: int
    challenger: int


@dataclass(frozen=True)
class ConfusionCounts:
    """Counts by the likeliest class. ``counts`` is (k, k) [true][answer]; empty where there are too many classes."""

    right: Mapping[str, int]
    common: tuple[CommonConfusion, ...] = ()
    counts: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose stated probabilities are alike: their mean, the share that happened and its 95 % interval."""

    stated: float
    happened: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PredictionBand:
    """Rows whose predictions are alike: mean prediction, mean truth, the middle 80 % of the truth."""

    predicted: float
    true: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ResidualCounts:
    """Errors (prediction - truth): quantiles at ``levels`` and a histogram with ``edges``, by model."""

    levels: tuple[float, ...]
    quantiles: Mapping[str, tuple[float, ...]]
    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class SliceScore:
    """The metric of both models on one slice, with the 95 % interval of the difference."""

    slice: str  # "column=value"
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Figures:
    """Everything drawn; what a task does not have is empty."""

    task: str
    metric: str
    n: int  # judged rows
    labels: tuple[str, ...] = ()
    confusion: ConfusionCounts | None = None
    roc: Mapping[str, Points] = field(default_factory=dict)
    precision_recall: Mapping[str, Points] = field(default_factory=dict)
    calibration: Mapping[str, tuple[CalibrationBin, ...]] = field(default_factory=dict)
    histogram: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)  # model -> "0", "1" -> rows
    residuals: ResidualCounts | None = None
    predicted: Mapping[str, tuple[PredictionBand, ...]] = field(default_factory=dict)
    slices: tuple[SliceScore, ...] = ()
