"""The scaler of a bare network, learnt through it: kept only where held-out rows show it."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.data.table import Table
from evermodel.core.model.capabilities import Differentiable
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.records.column_roles import Roles
from evermodel.core.stats.metric import METRICS
from evermodel.registry.adoption.adopt import fit_contract, understand_model
from evermodel.registry.adoption.model_file import open_model
from evermodel.registry.adoption.options import AdoptionOptions
from evermodel.registry.adoption.readings.learned_scaling import learn_scaling
from evermodel.registry.lookup import open_store

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
    obj, framework, _ = open_model(network)
    options = AdoptionOptions(Roles("y"))
    bare, cleaned, _, _ = fit_contract(obj, framework, frame, options)
    table = cleaned.collect()
    return understand_model(bare, table, options).model, table


def test_rows_that_moved_give_a_wrong_scaler_and_the_right_one_is_learnt(network):
    model, table = fed(network, numbers(2000, 2, moved=12.0))
    learnt, saved = learn_scaling(model, table)
    assert saved > 0.05
    fresh = numbers(2000, 3, moved=12.0)
    accuracy = METRICS.load("accuracy")
    new = Table(fresh, table.roles)
    assert accuracy(model.target(new), learnt.predict(fresh)) > accuracy(model.target(new), model.predict(fresh)) + 0.03
    assert learnt.obj is model.obj


def test_a_right_scaler_is_left_alone(network):
    model, table = fed(network, numbers(2000, 4))
    assert learn_scaling(model, table) == (model, 0.0)


def test_few_rows_and_other_models_are_left_alone(network, booster):
    model, table = fed(network, numbers(2000, 2, moved=12.0))
    assert learn_scaling(model, table.rows(np.arange(80)))[1] == 0.0
    trees = dataclasses.replace(model, framework=FRAMEWORKS.load_module("lightgbm"))
    assert learn_scaling(trees, table)[1] == 0.0


def test_the_first_update_of_a_pending_model_says_that_it_was_learnt(network, tmp_path):
    frame = numbers(4000, 5, moved=12.0)
    evermodel.adopt(network, target="y", name="m", registry=tmp_path / "h")
    done = evermodel.update("m", frame, strategy="none", registry=tmp_path / "h")
    store = open_store(tmp_path / "h")
    assert store.read_card("m", done.champion).adoption.learned_scaling > 0.05
    assert any("scale and a shift" in note for note in store.read_events("m")[1].data.notes)


def gradient_is_right(plugin, obj) -> None:
    assert isinstance(plugin, Differentiable)
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 2)).astype("float32")
    raw = plugin.predict(obj, x)
    direction = random.normal(size=raw.shape)
    found, step = plugin.compute_input_gradient(obj, x, direction), 1e-2
    for column in range(2):
        ahead, behind = x.copy(), x.copy()
        ahead[:, column] += step
        behind[:, column] -= step
        slope = ((plugin.predict(obj, ahead) - plugin.predict(obj, behind)) * direction).reshape(5, -1).sum(axis=1)
        np.testing.assert_allclose(found[:, column], slope / (2 * step), rtol=0.03, atol=2e-3)


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (3, "softmax"), (1, None)])
def test_keras_gradients(outputs, activation):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(outputs, activation)]
    gradient_is_right(FRAMEWORKS.load_module("keras"), keras.Sequential([keras.Input((2,)), *layers]))


@pytest.mark.parametrize("last", [[], ["Sigmoid"], ["LogSoftmax"]])
def test_torch_gradients(last):
    torch = pytest.importorskip("torch", reason='needs pip install "evermodel[torch]"')
    torch.manual_seed(0)
    wide = 3 if last == ["LogSoftmax"] else 1
    ends = [torch.nn.LogSoftmax(dim=1) if name == "LogSoftmax" else getattr(torch.nn, name)() for name in last]
    module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, wide), *ends)
    plugin = FRAMEWORKS.load_module("torch")
    gradient_is_right(plugin, plugin.convert_object(module))
