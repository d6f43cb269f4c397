"""A column in another unit is told from drift, also where the season changed besides."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evermodel.core.contract import Column
from evermodel.core.units import quantiles_of, unit_change


def column(values: pl.Series) -> Column:
    found = quantiles_of(values)
    assert found is not None
    return Column("temperature", "number", quantiles=tuple(found))


def degrees(mean: float, spread: float, seed: int, n: int = 500) -> pl.Series:
    return pl.Series(np.random.default_rng(seed).normal(mean, spread, n))


@pytest.mark.parametrize("summer", [8.0, 14.0, 20.0])
def test_a_thousandfold_is_seen_in_any_season(summer: float) -> None:
    known = column(degrees(8.0, 4.0, 1))
    assert unit_change(known, degrees(summer, 3.0, 2)) is None, "drift alone is no change of unit"
    found = unit_change(known, degrees(summer, 3.0, 2) * 1000.0)
    assert found is not None
    assert found.factor == 1000.0


@pytest.mark.parametrize("factor", [20.0, 50.0])
def test_values_far_away_that_no_factor_explains_are_drift(factor: float) -> None:
    known = column(degrees(8.0, 4.0, 1))
    assert unit_change(known, degrees(8.0 + 4.0 * factor, 30.0, 2)) is None
