"""Decision trees as plain data: what an additive booster is made of, whatever library trained it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from evermodel.core.arrays import Array

ZERO = 1e-35  # LightGBM takes values this near to 0 for 0


class MissingRule(StrEnum):
    """Which values take a split's default side."""

    NONE = "none"  # no value does; NaN counts as 0
    ZERO = "zero"  # 0 and NaN do
    NAN = "nan"


@dataclass(frozen=True)
class Split:
    """A test of one column of x: left where value <= threshold (``inclusive``) or < threshold, or in ``categories``."""

    feature: int
    threshold: float = 0.0
    inclusive: bool = True
    default_left: bool = False
    missing: MissingRule = MissingRule.NAN
    categories: tuple[int, ...] | None = None  # a value among these goes left, any other right

    def goes_left(self, values: Array) -> Array:
        """(n,) bool of values (n,) float64."""
        gaps = np.isnan(values)
        if self.categories is not None:
            return np.asarray(~gaps & np.isin(np.trunc(np.where(gaps, -1.0, values)), self.categories))
        known = np.where(gaps, 0.0, values)
        below = known <= self.threshold if self.inclusive else known < self.threshold
        if self.missing is MissingRule.NONE:
            return np.asarray(below)
        aside = gaps if self.missing is MissingRule.NAN else np.abs(known) <= ZERO
        return np.asarray(np.where(aside, self.default_left, below))


@dataclass(frozen=True)
class Leaf:
    """A value, and the splits on the way to it: each with the side that leads there (True: left)."""

    value: float
    path: tuple[tuple[Split, bool], ...]


@dataclass(frozen=True)
class TreeEnsemble:
    """The leaves of all trees of a booster with one output; a row's score is the sum of the leaves that it reaches.

    Up to a constant: what stands before the first tree is left out. ``dtype`` is the type in which rows are compared.
    """

    leaves: tuple[Leaf, ...]
    dtype: str = "float64"

    def score(self, x: Array) -> Array:
        """(n,) sum of the leaves that the rows x (n, d) reach."""
        x = np.asarray(x, dtype=self.dtype).astype(np.float64)
        total = np.zeros(len(x))
        for leaf in self.leaves:
            reached = np.ones(len(x), dtype=bool)
            for split, left in leaf.path:
                reached &= split.goes_left(x[:, split.feature]) == left
            total += leaf.value * reached
        return total
