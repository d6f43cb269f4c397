"""How much each half of a booster says."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from evermodel.core.model import Model
from evermodel.core.table import Table
from evermodel.updates._halves.shares import told_share
from tests.updates.test_updates import ROLES, change, model, table
from tests.updates.test_updates import Split as Rows


def stream(task: str, turned: bool, seed: int, n: int = 600) -> Table:
    """Rows that follow ``table``'s rule, or the opposite one."""
    rows = table(n, task, seed)
    if not turned:
        return rows
    turned_x = rows.frame.with_columns(-pl.col("a"), -pl.col("b"))
    return Table(turned_x, ROLES, rows.blocks)


def champion(task: str) -> Model:
    """One half learnt the old rule and the new one, the other the new one alone."""
    old, new = stream(task, False, 1, 2000), stream(task, True, 2)
    new = Table(new.frame, ROLES, np.full(len(new), 2))
    return change("halves", model("lightgbm", task), Rows(new, dataclasses.replace(old)), window=1)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_half_that_serves_the_new_rows_says_more(task: str) -> None:
    serving = champion(task)
    assert told_share(serving, stream(task, True, 3)) == pytest.approx(0.35)  # half of the way to the least it may say
    assert told_share(serving, stream(task, False, 4)) > 0.5


def test_who_has_no_two_halves_or_few_rows_gives_each_the_same() -> None:
    assert told_share(model("lightgbm"), stream("binary", True, 3)) == 0.5
    assert told_share(model("sklearn"), stream("binary", True, 3)) == 0.5
    assert told_share(champion("binary"), stream("binary", True, 3, n=40)) == 0.5


def test_the_next_halves_follow_what_the_last_ones_told() -> None:
    serving, rows = champion("binary"), stream("binary", True, 5)
    rows = Table(rows.frame, ROLES, np.full(len(rows), 3))
    kept = stream("binary", False, 1, 2000)
    told = change("halves", serving, Rows(rows, kept), window=1)
    said = change("halves", serving, Rows(rows, kept), window=1, share=told_share(serving, rows))
    even = change("halves", serving, Rows(rows, kept), window=1, share=0.5)
    fresh = stream("binary", True, 6)
    assert np.array_equal(told.predict(fresh.frame), said.predict(fresh.frame))
    y = fresh.frame["y"].to_numpy()
    assert ((told.predict(fresh.frame)[:, 1] > 0.5) == y).mean() > ((even.predict(fresh.frame)[:, 1] > 0.5) == y).mean()
