"""A column in another unit is told from drift, also where the season changed besides."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.unit_changes import compute_quantiles, find_unit_change
from evermodel.core.data.contract import Column, Contract
from evermodel.core.records.column_roles import Roles


def column(values: pl.Series, name: str = "temperature") -> Column:
    found = compute_quantiles(values)
    assert found is not None
    return Column(name, "number", quantiles=tuple(found), median=found[2])


def degrees(mean: float, spread: float, seed: int, n: int = 500) -> pl.Series:
    return pl.Series(np.random.default_rng(seed).normal(mean, spread, n))


@pytest.mark.parametrize("summer", [8.0, 14.0, 20.0])
def test_a_thousandfold_is_seen_in_any_season(summer: float) -> None:
    known = column(degrees(8.0, 4.0, 1))
    assert find_unit_change(known, degrees(summer, 3.0, 2)) is None, "drift alone is no change of unit"
    found = find_unit_change(known, degrees(summer, 3.0, 2) * 1000.0)
    assert found is not None
    assert found.factor == 1000.0


@pytest.mark.parametrize("factor", [20.0, 50.0])
def test_values_far_away_that_no_factor_explains_are_drift(factor: float) -> None:
    known = column(degrees(8.0, 4.0, 1))
    assert find_unit_change(known, degrees(8.0 + 4.0 * factor, 30.0, 2)) is None


@pytest.mark.parametrize(("factor", "action"), [(17.3, "note"), (524.1, "refuse")])
def test_where_all_columns_drifted_a_factor_counts_if_it_is_far_beyond_them(factor: float, action: str) -> None:
    names = [f"s{i}" for i in range(8)]
    known = tuple(column(degrees(8.0, 4.0, i), name) for i, name in enumerate(names))
    frame = pl.DataFrame({name: degrees(18.0, 3.0, 20 + i) for i, name in enumerate(names)})
    frame = frame.with_columns(s0=degrees(8.0, 4.0, 30) * factor)
    found = compare_with_contract(Contract("regression", Roles(), known), frame.lazy(), labelled=False)
    assert [(d.kind, d.column, d.action) for d in found.found if d.kind == "unit"] == [("unit", "s0", action)]
