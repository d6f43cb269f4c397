"""How much each half of a booster says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core import plugs
from evermodel.core.errors import BadSetting
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


@pytest.mark.parametrize("plug", ["lightgbm", "xgboost"])
def test_finishing_keeps_the_early_trees_of_what_was_judged(plug: str) -> None:
    old, new = stream("binary", False, 1, 2000), stream("binary", True, 2)
    new = Table(new.frame, ROLES, np.full(len(new), 2))
    judged = change("halves", model(plug, "binary"), Rows(new.rows(np.arange(300)), old), window=1, share=0.3)
    done = change("halves", judged, Rows(new, old), window=1, finishing=True)
    (was, _), _ = judged.framework.apart(judged.obj)
    (now, share), _ = done.framework.apart(done.obj)
    x = done.transform(new.frame)
    margins = [[_margin(plug, judged.framework.first(obj, n), x) for obj in (was, now)] for n in (3, 8)]
    np.testing.assert_allclose(*margins[0], atol=1e-5)
    assert share == told_share(judged, new) and not np.allclose(*margins[1], atol=1e-3), (
        "the later ones learnt from the judged rows"
    )
    assert done.framework.rounds(done.obj) == judged.framework.rounds(judged.obj) == 15
    assert done.framework.trees(done.obj) == 15
    with pytest.raises(BadSetting, match="judged halves"):
        change("halves", model(plug, "binary"), Rows(new, old), finishing=True)


def _margin(plug: str, obj: Any, x: Any) -> Any:
    """Less its mean: XGBoost's base score is not the half's own."""
    p = plugs.module("frameworks", plug).predict(obj, x)
    z = np.log(p / (1 - p))
    return z - z.mean()
