"""A small picture of each column of the reference rows, and how new rows differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evermodel.core.contract import Contract


@dataclass(frozen=True)
class Moved:
    """How one column moved: population stability index, Kolmogorov-Smirnov distance, mean in old standard deviations."""

    column: str
    psi: float
    ks: float
    mean: float | None  # (new mean - old mean) / old std; None for categories
    missing: float  # new share - old share


def profile(frame: pl.LazyFrame, contract: Contract) -> dict[str, Any]:
    """Per input column (and the target) of cleaned rows: count, missing, 201 quantiles or top categories. JSON-able."""
    raise NotImplementedError


def profile_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Moved]:
    """How each column that both profiles have moved, the most moved first."""
    raise NotImplementedError
