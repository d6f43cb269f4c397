"""A scale and a shift go into a network's first and last layer; what it predicts stays."""

from __future__ import annotations

import numpy as np
import pytest

from evermodel.core.errors import BadModel
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.plugins.frameworks import keras as keras_plugin
from evermodel.plugins.frameworks import torch as torch_plugin

SCALE, OFFSET = np.array([2.0, 0.25, -1.5]), np.array([0.5, -3.0, 1.0])


def keras_network(head: str = "sigmoid"):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(5, "relu"), keras.layers.Dense(1, head)]
    net = keras.Sequential([keras.Input((3,)), *layers])
    net.compile(keras.optimizers.Adam(), "mse" if head == "linear" else "binary_crossentropy")
    return net


def torch_network():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch_plugin.convert_object(
        torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1), torch.nn.Sigmoid())
    )


@pytest.mark.parametrize(("plugin", "make"), [(keras_plugin, keras_network), (torch_plugin, torch_network)])
def test_folded_into_first_and_last_layer(plugin, make):
    obj, x = make(), np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    before = plugin.predict(obj, x)
    folded = plugin.fold_input(obj, SCALE, OFFSET)
    wide = plugin.predict(obj, (x * SCALE + OFFSET).astype("float32"))
    np.testing.assert_allclose(plugin.predict(folded, x), wide, atol=1e-6)
    moved = plugin.fold_output(obj, 0.5, np.array([0.7]))
    odds = np.log(before / (1 - before)) * 0.5 + 0.7
    np.testing.assert_allclose(plugin.predict(moved, x), 1 / (1 + np.exp(-odds)), atol=1e-6)
    np.testing.assert_array_equal(plugin.predict(obj, x), before)


def test_a_network_that_cannot_hold_a_normalisation_says_so():
    keras = pytest.importorskip("keras")
    front = keras.layers.BatchNormalization()
    net = keras.Sequential([keras.Input((3,)), front, keras.layers.Dense(1, "relu")])
    with pytest.raises(BadModel, match="right behind the input"):
        keras_plugin.fold_input(net, SCALE, OFFSET)
    with pytest.raises(BadModel, match="cannot go through the activation 'relu'"):
        keras_plugin.fold_output(net, 1.0, np.array([1.0]))


def test_the_kinds_of_networks_whose_weights_are_kept():
    keras = pytest.importorskip("keras")
    layers = keras.layers
    text = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 3), layers.GRU(2), layers.Dense(1)])
    frozen = keras_network()
    frozen.layers[0].trainable = False
    assert keras_plugin.read_signature(text).pretrained and keras_plugin.read_signature(frozen).pretrained
    assert not keras_plugin.read_signature(keras_network()).pretrained
    assert not torch_plugin.read_signature(torch_network()).pretrained


def test_a_recalibrated_linear_model_answers_so_by_its_file_alone(tmp_path):
    """A level that moved goes into the intercept: no correction is left outside of the file."""
    import polars as pl
    from sklearn.linear_model import LogisticRegression

    import evermodel

    def rows(n: int, seed: int, level: float) -> pl.DataFrame:
        random = np.random.default_rng(seed)
        a, b = random.normal(size=(2, n))
        y = (a + b + level + random.logistic(size=n) > 0).astype(int)
        return pl.DataFrame({"a": a, "b": b, "y": y})

    first = rows(800, 1, 0.0)
    model = LogisticRegression().fit(first.select("a", "b").to_numpy(), first["y"].to_numpy())
    evermodel.adopt(model, data=first, target="y", name="m", registry=tmp_path)
    options = {"strategy": "recalibrate", "metric": "log_loss", "registry": tmp_path}
    done = evermodel.update("m", rows(800, 2, -2.0), **options)
    assert done.decision == "promote" and "correction" not in {kind.value for kind in done.breaks}
    live = evermodel.open(tmp_path)["m"].champion.load()
    assert live.intercept_[0] < model.intercept_[0] - 1.0
    np.testing.assert_allclose(live.coef_[0, 0] / live.coef_[0, 1], model.coef_[0, 0] / model.coef_[0, 1])


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_correction_goes_into_the_leaves_of_a_booster(kind):
    library = pytest.importorskip(kind)
    plugin = FRAMEWORKS.load_module(kind)
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3))
    value, label = x[:, 0] * 20.0 + 50.0, (x[:, 1] > 0).astype(int)
    if kind == "lightgbm":
        trained = [
            library.train({"objective": o, "verbose": -1}, library.Dataset(x, y), 10)
            for o, y in (("regression", value), ("binary", label))
        ]
    else:
        trained = [
            library.train({"objective": o}, library.DMatrix(x, y), 10)
            for o, y in (("reg:squarederror", value), ("binary:logistic", label))
        ]
    number, binary = map(plugin.convert_object, trained)
    moved = plugin.fold_output(number, 1.2, np.array([-7.0]))
    np.testing.assert_allclose(plugin.predict(moved, x), 1.2 * plugin.predict(number, x) - 7.0, rtol=1e-4)
    p = plugin.predict(binary, x)
    shifted = plugin.predict(plugin.fold_output(binary, 1.0, np.array([0.8])), x)
    np.testing.assert_allclose(np.log(shifted / (1 - shifted)), np.log(p / (1 - p)) + 0.8, atol=1e-4)
