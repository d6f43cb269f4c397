"""A small picture of each column of a version's rows, kept so that later rows can be compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ColumnProfile:
    """One column. ``top`` is None for a column of numbers, ``quantiles`` empty for a column of categories."""

    missing: int = 0
    quantiles: tuple[float, ...] = ()  # (201,) at 0, 0.005, …, 1
    mean: float | None = None
    std: float | None = None
    top: Mapping[str, int] | None = None  # the commonest categories -> rows
    others: int = 0  # rows of the categories that are not in ``top``
    distinct: int = 0  # categories in all


@dataclass(frozen=True)
class DataProfile:
    """All input columns and the target."""

    rows: int = 0
    columns: Mapping[str, ColumnProfile] = field(default_factory=dict)
