"""How much each half of a booster says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.table import Table
from evermodel.core.errors import BadSetting
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.plugins.strategies._recency_ensemble.shares import choose_share
from tests.strategies.test_updates import ROLES, change, model, table
from tests.strategies.test_updates import Split as Rows


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
    return change("recency_ensemble", model("lightgbm", task), Rows(new, dataclasses.replace(old)), window=1)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_half_that_serves_the_new_rows_says_more(task: str) -> None:
    serving = champion(task)
    assert choose_share(serving, stream(task, True, 3)) == pytest.approx(
        0.35
    )  # half of the way to the least it may say
    assert choose_share(serving, stream(task, False, 4)) > 0.5


def test_who_has_no_two_halves_or_few_rows_gives_each_the_same() -> None:
    assert choose_share(model("lightgbm"), stream("binary", True, 3)) == 0.5
    assert choose_share(model("sklearn"), stream("binary", True, 3)) == 0.5
    assert choose_share(champion("binary"), stream("binary", True, 3, n=40)) == 0.5


def test_the_next_halves_follow_what_the_last_ones_told() -> None:
    serving, rows = champion("binary"), stream("binary", True, 5)
    rows = Table(rows.frame, ROLES, np.full(len(rows), 3))
    kept = stream("binary", False, 1, 2000)
    told = change("recency_ensemble", serving, Rows(rows, kept), window=1)
    said = change("recency_ensemble", serving, Rows(rows, kept), window=1, share=choose_share(serving, rows))
    even = change("recency_ensemble", serving, Rows(rows, kept), window=1, share=0.5)
    fresh = stream("binary", True, 6)
    assert np.array_equal(told.predict(fresh.frame), said.predict(fresh.frame))
    y = fresh.frame["y"].to_numpy()
    assert ((told.predict(fresh.frame)[:, 1] > 0.5) == y).mean() > ((even.predict(fresh.frame)[:, 1] > 0.5) == y).mean()


@pytest.mark.parametrize("plugin", ["lightgbm", "xgboost"])
def test_finishing_keeps_the_early_trees_of_what_was_judged(plugin: str) -> None:
    old, new = stream("binary", False, 1, 2000), stream("binary", True, 2)
    new = Table(new.frame, ROLES, np.full(len(new), 2))
    judged = change(
        "recency_ensemble", model(plugin, "binary"), Rows(new.rows(np.arange(300)), old), window=1, share=0.3
    )
    done = change("recency_ensemble", judged, Rows(new, old), window=1, refit_judged=True)
    (was, _), _ = judged.framework.split_parts(judged.obj)
    (now, share), _ = done.framework.split_parts(done.obj)
    x = done.transform(new.frame)
    margins = [[_margin(plugin, judged.framework.keep_first_trees(obj, n), x) for obj in (was, now)] for n in (3, 8)]
    np.testing.assert_allclose(*margins[0], atol=1e-5)
    assert share == choose_share(judged, new) and not np.allclose(*margins[1], atol=1e-3), (
        "the later ones learnt from the judged rows"
    )
    assert done.framework.count_rounds(done.obj) == judged.framework.count_rounds(judged.obj) == 15
    assert done.framework.count_trees(done.obj) == 15
    with pytest.raises(BadSetting, match="judged ensemble"):
        change("recency_ensemble", model(plugin, "binary"), Rows(new, old), refit_judged=True)


def _margin(plugin: str, obj: Any, x: Any) -> Any:
    """Less its mean: XGBoost's base score is not the half's own."""
    p = FRAMEWORKS.load_module(plugin).predict(obj, x)
    z = np.log(p / (1 - p))
    return z - z.mean()
