"""What each change promises, on small models of scikit-learn and LightGBM."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import BadSetting, NoData
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles

ROLES = Roles(target="y")


def table(n: int, task: str = "binary", seed: int = 0, level: float = 0.0) -> Table:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2))
    z = 1.5 * x[:, 0] - x[:, 1] + level
    if task == "regression":
        y: Array = z + 0.1 * random.normal(size=n)
    else:
        y = (random.random(n) < 1 / (1 + np.exp(-z))).astype(np.int64)
    return Table(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), ROLES, np.repeat([0, 1], [n // 2, n - n // 2]))


def model(name: str, task: str = "binary", rows: int = 800) -> Model:
    columns = (Column("a", "number"), Column("b", "number"))
    classes = () if task == "regression" else (0, 1)
    contract = Contract(task, ROLES, columns, classes)  # type: ignore[arg-type]
    transform = Transform((Feature("a"), Feature("b")), dtype="float64")
    start = table(rows, task)
    x, y = transform(start.frame), start.frame["y"].to_numpy()
    output = Output(kind="value" if task == "regression" else "probability")
    return Model(contract, transform, _object(name, task, x, y), FRAMEWORKS.load_module(name), output)


def _object(name: str, task: str, x: Array, y: Array) -> Any:
    if name == "lightgbm":
        lgb = pytest.importorskip("lightgbm")
        objective = {"binary": "binary", "regression": "regression"}[task]
        told = {"objective": objective, "num_threads": 1, "verbosity": -1, "num_leaves": 7}
        return lgb.train(told, lgb.Dataset(x, y), 15)
    if name == "xgboost":
        xgb = pytest.importorskip("xgboost")
        told = {"objective": {"binary": "binary:logistic", "regression": "reg:squarederror"}[task], "nthread": 1}
        return xgb.train(told, xgb.DMatrix(x, y), 15)
    linear = pytest.importorskip("sklearn.linear_model")
    return (linear.Ridge() if task == "regression" else linear.LogisticRegression()).fit(x, y)


def change(name: str, parent: Model, split: Split, **settings: Any) -> Model:
    return Context(seed=3).run_strategy(name, [parent], split, **settings)


def log_loss(m: Model, rows: Table) -> float:
    p = m.predict(rows.frame)[np.arange(len(rows)), m.target(rows)]
    return float(-np.log(p).mean())


def test_recalibrate_finds_a_moved_level_and_keeps_the_object() -> None:
    parent, moved, later = model("sklearn"), table(4_000, seed=1, level=1.5), table(4_000, seed=2, level=1.5)
    better = change("recalibrate", parent, Split(moved))
    assert better.obj is parent.obj
    assert log_loss(better, later) < log_loss(parent, later) - 0.05
    truth = model_at(1.5)
    np.testing.assert_allclose(better.predict(later.frame), truth(later), atol=0.05)


def model_at(level: float) -> Any:
    def truth(rows: Table) -> Array:
        z = 1.5 * rows.frame["a"].to_numpy() - rows.frame["b"].to_numpy() + level
        return np.column_stack([1 - 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z))])

    return truth


def test_recalibrate_softens_a_model_that_is_too_sure() -> None:
    parent = model("sklearn")
    sure = dataclasses.replace(parent, output=Output(temperature=0.25))
    better = change("recalibrate", sure, Split(table(4_000, seed=1)))
    assert better.output.temperature == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_recalibrate_changes_little_on_few_rows(task: str) -> None:
    parent, check = model("sklearn", task), table(500, task, seed=5)
    ahead = [change("recalibrate", parent, Split(table(n, task, seed=1, level=2.0))) for n in (2, 10, 4_000)]
    moved = [float(np.abs(m.predict(check.frame) - parent.predict(check.frame)).mean()) for m in ahead]
    assert moved[0] < moved[1] < moved[2]
    assert moved[0] < 0.5 * moved[2]


def test_recalibrate_is_the_least_squares_line_for_a_regression() -> None:
    parent, rows = model("sklearn", "regression"), table(500, "regression", seed=1, level=3.0)
    better = change("recalibrate", parent, Split(rows), prior=0)
    slope, offset = np.polyfit(parent.predict(rows.frame), rows.frame["y"].to_numpy(), 1)
    np.testing.assert_allclose(better.predict(rows.frame), slope * parent.predict(rows.frame) + offset, rtol=1e-9)


def test_recalibrate_picks_the_threshold_with_the_best_f1() -> None:
    parent, rows = model("sklearn"), table(1_000, seed=1, level=-2.5)
    better = change("recalibrate", parent, Split(rows), threshold=True)
    p, y = better.predict(rows.frame)[:, 1], better.target(rows)

    def f1(at: float) -> float:
        said = p >= at
        return float(2 * (said & (y == 1)).sum() / (said.sum() + y.sum()))

    assert f1(better.output.threshold) == pytest.approx(max(map(f1, p)))
    assert f1(better.output.threshold) > f1(0.5)


def test_recalibrate_needs_rows() -> None:
    with pytest.raises(NoData):
        change("recalibrate", model("sklearn"), Split(table(10).rows(np.arange(0))))


def test_recalibrate_takes_three_classes_and_one_that_never_came() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 2))
    y = np.digitize(x[:, 0] + 0.5 * random.normal(size=600), [-0.5, 0.5])
    parent = model("sklearn")
    contract = dataclasses.replace(parent.contract, task="multiclass", classes=(0, 1, 2))
    parent = dataclasses.replace(parent, obj=linear.LogisticRegression().fit(x, y), contract=contract)
    rows = Table(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}).filter(pl.col("y") < 2), ROLES)
    better = change("recalibrate", parent, Split(rows))
    assert log_loss(better, rows) < log_loss(parent, rows)
    assert np.isfinite(better.predict(rows.frame)).all()


def test_recalibrate_takes_a_class_that_came_after_the_object_was_made() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x = np.random.default_rng(0).normal(size=(600, 2))
    y = np.digitize(x[:, 0], [-0.5, 0.5, 1.2])
    known = y < 3
    fitted = linear.LogisticRegression().fit(x[known], y[known])
    parent = model("sklearn")
    contract = dataclasses.replace(parent.contract, task="multiclass", classes=(0, 1, 2, 3))
    parent = dataclasses.replace(parent, obj=fitted, contract=contract)
    rows = Table(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), ROLES)
    better = change("recalibrate", parent, Split(rows))
    p = better.predict(rows.frame)
    assert p.shape == (600, 4) and np.allclose(p.sum(axis=1), 1.0)
    assert p[:, 3].mean() == pytest.approx((y == 3).mean(), abs=0.05)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_leaf_refit_follows_the_new_rows(task: str) -> None:
    parent, new, later = model("lightgbm", task), table(2_000, task, 1, level=2.0), table(2_000, task, 2, level=2.0)
    better = change("leaf_refit", parent, Split(new), decay=0.5)
    if task == "binary":
        assert log_loss(better, later) < log_loss(parent, later) - 0.02
    else:
        errors = [np.mean((m.predict(later.frame) - later.frame["y"].to_numpy()) ** 2) for m in (better, parent)]
        assert errors[0] < 0.5 * errors[1]


def test_mean_is_the_mean_of_its_two_recipes_on_the_margin() -> None:
    parent = model("lightgbm")
    split = Split(table(400, seed=2), replay_rows=table(600, seed=1))
    both = change("age_weighted_mean", parent, split, half_life=1.0)
    parts = [change("refit", parent, split), change("refit", parent, split, half_life=1.0)]
    odds = [np.log(p[:, 1] / p[:, 0]) for p in (m.predict(split.new_rows.frame) for m in (both, *parts))]
    np.testing.assert_allclose(odds[0], (odds[1] + odds[2]) / 2, atol=1e-9)
    assert np.abs(odds[1] - odds[2]).max() > 0.01


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_mean_of_linear_models_is_the_mean_of_their_coefficients(task: str) -> None:
    parent = model("sklearn", task)
    split = Split(table(400, task, seed=2, level=1.0), replay_rows=table(600, task, seed=1))
    both = change("age_weighted_mean", parent, split, half_life=0.2, share=0.25)
    parts = [change("refit", parent, split), change("refit", parent, split, half_life=0.2)]
    np.testing.assert_allclose(both.obj.coef_, 0.25 * parts[0].obj.coef_ + 0.75 * parts[1].obj.coef_, rtol=1e-9)
    assert np.abs(parts[0].obj.intercept_ - parts[1].obj.intercept_).max() > 1e-3


def test_mean_refuses_a_forest_before_it_trains_twice() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    parent, rows = model("sklearn"), table(50)
    forest = ensemble.RandomForestClassifier(3, n_jobs=1).fit(parent.transform(rows.frame), parent.target(rows))
    with pytest.raises(BadSetting, match="coefficients"):
        change("age_weighted_mean", dataclasses.replace(parent, obj=forest), Split(rows))


@pytest.mark.parametrize("name", ["leaf_refit", "shrink_perturb", "widen"])
def test_a_change_that_needs_another_kind_of_model_says_so(name: str) -> None:
    with pytest.raises(BadSetting, match="sklearn model"):
        change(name, model("sklearn"), Split(table(100)))
