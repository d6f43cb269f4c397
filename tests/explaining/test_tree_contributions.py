"""Shapley values of trees are those of the definition, by every subset of columns."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.contract import Column, Contract
from evermodel.core.model.decision_tree import MissingRule, Split
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.explaining.contributions import compute_contributions
from evermodel.explaining.tree_contributions import compute_tree_values
from evermodel.plugins.frameworks import lightgbm as lightgbm_plugin
from evermodel.plugins.frameworks import xgboost as xgboost_plugin

NAMES = ("a", "b", "plan", "c")
FEATURES = (Feature("a"), Feature("b"), Feature("plan", "onehot", categories=("x", "y", "z")), Feature("c"))
CODED = (Feature("a"), Feature("b"), Feature("plan", "code", categories=("x", "y", "z")), Feature("c"))


def draw_rows(n: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    a, b, c = random.normal(size=(3, n))
    plan = random.choice(["x", "y", "z"], n)
    y = a * b + (plan == "y") * c + 0.3 * random.normal(size=n)
    gaps = [None if random.random() < 0.1 else float(v) for v in a]
    zeros = np.where(random.random(n) < 0.2, 0.0, c)
    return pl.DataFrame({"a": gaps, "b": b, "plan": plan, "c": zeros}), y


def train(kind: str, task: str, *, seed: int, coded: bool = False) -> Model:
    frame, y = draw_rows(500, seed)
    transform = Transform(CODED if coded else FEATURES, dtype="float64")
    x, target = transform(frame), y if task == "regression" else (y > 0).astype(int)
    if kind == "lightgbm":
        import lightgbm

        objective = "regression" if task == "regression" else "binary"
        settings = {"objective": objective, "num_leaves": 9, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
        data = lightgbm.Dataset(x, target, categorical_feature=[2] if coded else "auto")
        obj, plugin = lightgbm_plugin.convert_object(lightgbm.train(settings, data, 12)), lightgbm_plugin
    else:
        import xgboost

        objective = "reg:squarederror" if task == "regression" else "binary:logistic"
        settings = {"objective": objective, "max_depth": 4, "nthread": 1, "seed": 0}
        obj = xgboost_plugin.convert_object(xgboost.train(settings, xgboost.DMatrix(x, target), 12))
        plugin = xgboost_plugin
    columns = tuple(
        Column(n, "category", categories=("x", "y", "z")) if n == "plan" else Column(n, "number") for n in NAMES
    )
    contract = Contract(task, Roles(target="y"), columns, () if task == "regression" else (0, 1))  # type: ignore[arg-type]
    output = Output("value") if task == "regression" else Output()
    return Model(contract, transform, obj, plugin, output)  # type: ignore[arg-type]


def score(model: Model, frame: pl.DataFrame) -> np.ndarray:
    answers = np.asarray(model.predict(frame), dtype=np.float64)
    if model.contract.task == "regression":
        return answers
    return np.log(answers[:, 1]) - np.log1p(-answers[:, 1])


def value_by_definition(model: Model, row: pl.DataFrame, other: pl.DataFrame) -> np.ndarray:
    """Shapley values of one row over one background row, from the answers of the model to all 16 mixtures."""
    subsets = [frozenset(s) for size in range(5) for s in combinations(range(4), size)]
    mixtures = [pl.DataFrame([(row if i in s else other)[n] for i, n in enumerate(NAMES)]) for s in subsets]
    answer = dict(zip(subsets, score(model, pl.concat(mixtures)), strict=True))
    values = np.zeros(4)
    for i in range(4):
        for s in (s for s in subsets if i not in s):
            share = math.factorial(len(s)) * math.factorial(3 - len(s)) / math.factorial(4)
            values[i] += share * (answer[s | {i}] - answer[s])
    return values


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("kind", "coded"), [("lightgbm", False), ("lightgbm", True), ("xgboost", False)])
def test_the_values_are_those_of_the_definition(kind, coded, task):
    model = train(kind, task, seed=1, coded=coded)
    frame, _ = draw_rows(9, 7)
    rows, background = frame[:5], frame[5:]
    found = compute_tree_values(model, rows, background, NAMES)
    assert found is not None
    assert found.values.shape == (4, 5, 4)
    for z in range(4):
        for x in range(5):
            expected = value_by_definition(model, rows[x], background[z])
            np.testing.assert_allclose(found.values[z, x], expected, atol=1e-9 if kind == "lightgbm" else 2e-5)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_the_parts_of_two_boosters_sum_to_their_difference(kind):
    old, new = (train(kind, "binary", seed=s) for s in (1, 2))
    new = dataclasses.replace(new, output=Output(temperature=1.5, shift=(0.2, -0.1)))
    frame, _ = draw_rows(300, 3)
    contributions, values, names = compute_contributions(old, new, frame, frame, seed=0)
    assert contributions.exact
    assert contributions.largest_error < 1e-12
    assert names == NAMES
    background = frame.sample(16, seed=0)
    explained = frame[np.sort(permuted(300, 200))]
    difference = score(new, explained) - score(old, explained)
    mean = float((score(new, background) - score(old, background)).mean())
    np.testing.assert_allclose(values.sum(axis=1), difference - mean, atol=1e-9 if kind == "lightgbm" else 2e-5)


def permuted(n: int, k: int) -> np.ndarray:
    return np.random.default_rng(0).choice(n, k, replace=False)


def test_answers_that_are_no_sum_of_trees_are_sampled():
    model = train("lightgbm", "regression", seed=1)
    bent = dataclasses.replace(model, output=Output("value", target_transform="square"))
    frame, _ = draw_rows(40, 5)
    assert compute_tree_values(bent, frame, frame[:4], NAMES) is None
    contributions, _, _ = compute_contributions(model, bent, frame, frame, seed=0)
    assert not contributions.exact


def test_trees_that_do_not_answer_as_the_model_does_are_not_used(monkeypatch):
    model = train("lightgbm", "binary", seed=1)
    frame, _ = draw_rows(40, 5)
    trees = lightgbm_plugin.read_trees(model.obj)
    broken = dataclasses.replace(trees, leaves=trees.leaves[:-3])
    monkeypatch.setattr(lightgbm_plugin, "read_trees", lambda obj: broken)
    assert compute_tree_values(model, frame, frame[:4], NAMES) is None


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (Split(0, 1.0, missing=MissingRule.NONE), [True, True, True, False]),  # NaN counts as 0
        (Split(0, 1.0, inclusive=False, missing=MissingRule.NAN), [False, True, False, False]),
        (Split(0, 1.0, default_left=True, missing=MissingRule.NAN), [True, True, True, False]),
        (Split(0, 1.0, default_left=False, missing=MissingRule.ZERO), [False, False, True, False]),
        (Split(0, categories=(0, 2)), [False, True, False, True]),
    ],
)
def test_a_split_sends_gaps_and_zeros_where_the_library_does(split, expected):
    assert split.goes_left(np.array([np.nan, 0.0, 1.0, 2.0])).tolist() == expected
