"""The scaler of a bare network, learnt through it: kept only where held-out rows show it."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core import plugs
from evermodel.core.framework import Differentiable
from evermodel.core.table import Roles, Table
from evermodel.loop.adopt import fit_contract
from evermodel.loop.expectation import expected_input
from evermodel.loop.home import open_home
from evermodel.loop.opening import open_model
from evermodel.loop.scale_and_shift import with_learnt_scaling

keras = pytest.importorskip("keras", reason='needs pip install "evermodel[keras]"')


def numbers(n: int, seed: int, moved: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    a, b = random.normal(100.0 + moved, 10.0, n), random.normal(5.0, 1.0, n)
    z = 2.0 * (a - 100.0) / 10.0 + 2.0 * (b - 5.0)
    return pl.DataFrame({"a": a, "b": b, "y": (z + random.logistic(size=n) > 0).astype(int)})


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    keras.utils.set_random_seed(0)
    frame = numbers(3000, 1)
    x = (frame.select("a", "b").to_numpy() - [100.0, 5.0]) / [10.0, 1.0]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(x, frame["y"].to_numpy(), epochs=5, verbose=0)
    file = tmp_path_factory.mktemp("network") / "bare.keras"
    model.save(file)
    return file


def fed(network, frame: pl.DataFrame):
    obj, framework = open_model(network)
    bare, cleaned = fit_contract(obj, framework, frame, Roles("y"), "auto")
    table = cleaned.collect()
    return expected_input(bare, table)[0], table


def test_rows_that_moved_give_a_wrong_scaler_and_the_right_one_is_learnt(network):
    model, table = fed(network, numbers(2000, 2, moved=12.0))
    learnt, saved = with_learnt_scaling(model, table)
    assert saved > 0.05
    fresh = numbers(2000, 3, moved=12.0)
    accuracy = plugs.function("metrics", "accuracy")
    new = Table(fresh, table.roles)
    assert accuracy(model.target(new), learnt.predict(fresh)) > accuracy(model.target(new), model.predict(fresh)) + 0.03
    assert learnt.obj is model.obj


def test_a_right_scaler_is_left_alone(network):
    model, table = fed(network, numbers(2000, 4))
    assert with_learnt_scaling(model, table) == (model, 0.0)


def test_few_rows_and_other_models_are_left_alone(network, booster):
    model, table = fed(network, numbers(2000, 2, moved=12.0))
    assert with_learnt_scaling(model, table.rows(np.arange(80)))[1] == 0.0
    trees = dataclasses.replace(model, framework=plugs.module("frameworks", "lightgbm"))
    assert with_learnt_scaling(trees, table)[1] == 0.0


def test_the_shortest_way_says_that_it_was_learnt(network, tmp_path):
    frame = numbers(4000, 5, moved=12.0)
    done = evermodel.update(network, frame, target="y", with_="none", home=tmp_path / "h")
    store = open_home(tmp_path / "h")
    assert store.card(done.name, "v1").facts["learnt_scaling"] > 0.05
    assert any("scale and a shift" in note for note in store.log(done.name)[0].facts["notes"])


def gradient_is_right(plug, obj) -> None:
    assert isinstance(plug, Differentiable)
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 2)).astype("float32")
    raw = plug.predict(obj, x)
    direction = random.normal(size=raw.shape)
    found, step = plug.input_gradient(obj, x, direction), 1e-2
    for column in range(2):
        ahead, behind = x.copy(), x.copy()
        ahead[:, column] += step
        behind[:, column] -= step
        slope = ((plug.predict(obj, ahead) - plug.predict(obj, behind)) * direction).reshape(5, -1).sum(axis=1)
        np.testing.assert_allclose(found[:, column], slope / (2 * step), rtol=0.03, atol=2e-3)


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (3, "softmax"), (1, None)])
def test_keras_gradients(outputs, activation):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(outputs, activation)]
    gradient_is_right(plugs.module("frameworks", "keras"), keras.Sequential([keras.Input((2,)), *layers]))


@pytest.mark.parametrize("last", [[], ["Sigmoid"], ["LogSoftmax"]])
def test_torch_gradients(last):
    torch = pytest.importorskip("torch", reason='needs pip install "evermodel[torch]"')
    torch.manual_seed(0)
    wide = 3 if last == ["LogSoftmax"] else 1
    ends = [torch.nn.LogSoftmax(dim=1) if name == "LogSoftmax" else getattr(torch.nn, name)() for name in last]
    module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, wide), *ends)
    plug = plugs.module("frameworks", "torch")
    gradient_is_right(plug, plug.taken(module))
