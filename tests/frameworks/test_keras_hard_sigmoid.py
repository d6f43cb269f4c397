"""The ``hard_sigmoid`` of Keras 1 and 2 is another function than that of Keras 3: files of the former keep theirs."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras
from keras import layers

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks import keras as plugin

SHAPE = (7, 3)


@keras.saving.register_keras_serializable(package="tests")
def of_keras_two(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


BODIES = {
    "lstm": lambda f: layers.LSTM(5, recurrent_activation=f),
    "both ways": lambda f: layers.Bidirectional(layers.LSTM(4, recurrent_activation=f)),
    "gru": lambda f: layers.GRU(5, recurrent_activation=f, reset_after=False),
    "gru, reset after": lambda f: layers.GRU(5, recurrent_activation=f, reset_after=True),
    "gru throughout": lambda f: layers.GRU(5, activation=f, recurrent_activation=f),
    "a cell": lambda f: layers.RNN(layers.LSTMCell(5, recurrent_activation=f)),
    "simple": lambda f: layers.SimpleRNN(5, activation=f),
    "each step": lambda f: layers.TimeDistributed(layers.Dense(4, activation=f)),
    "convolution": lambda f: layers.Conv1D(4, 3, activation=f),
    "depthwise": lambda f: layers.DepthwiseConv1D(3, activation=f),
    "separable": lambda f: layers.SeparableConv1D(4, 3, activation=f),
    "none of it": lambda f: layers.LSTM(5),
}


def network(body: str, function: Any) -> Any:
    keras.utils.set_random_seed(3)
    ends = [layers.Flatten(), layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input(SHAPE), BODIES[body](function), *ends])
    draw = np.random.default_rng(1)
    model.set_weights([draw.normal(0.0, 1.0, w.shape) for w in model.get_weights()])  # far enough for the cut to matter
    return model


def written_by_keras_two(model: Any, to: Path) -> Path:
    model.save(to)
    with h5py.File(to, "r+") as file:
        file.attrs["keras_version"] = "2.2.4-tf"
    return to


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("body", BODIES)
def test_a_file_of_keras_two_answers_as_it_did_there(body: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(0.0, 2.0, (40, *SHAPE)).astype("float32")
    expected = network(body, of_keras_two).predict(x, verbose=0)
    file = written_by_keras_two(network(body, "hard_sigmoid"), tmp_path / "m.h5")
    if body != "none of it":
        by_keras_alone = keras.models.load_model(file, compile=False).predict(x, verbose=0)
        assert np.abs(by_keras_alone - expected).max() > 1e-3, "what was wrong without a word"
    model = plugin.read_file(file)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=2e-6)
    plugin.write_file(model, tmp_path / "saved.h5")
    loaded = keras.models.load_model(tmp_path / "saved.h5", compile=False)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=2e-6)
    np.testing.assert_allclose(plugin.read_file(tmp_path / "saved.h5").predict(x, verbose=0), expected, atol=2e-6)


def test_the_layers_whose_weights_changed_are_named(tmp_path: Path) -> None:
    file = written_by_keras_two(network("both ways", "hard_sigmoid"), tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="weights of backward_lstm.*, forward_lstm.* were multiplied by 1.2"):
        plugin.read_file(file)


def test_a_file_of_keras_three_is_left_alone(tmp_path: Path) -> None:
    model = network("lstm", "hard_sigmoid")
    model.save(tmp_path / "m.h5")
    x = np.random.default_rng(0).normal(0.0, 2.0, (40, *SHAPE)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        read = plugin.read_file(tmp_path / "m.h5")
    np.testing.assert_array_equal(read.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("layer", [layers.Activation("hard_sigmoid"), layers.LSTM(4, activation="hard_sigmoid")])
def test_a_layer_that_no_weights_can_make_right_is_refused(layer: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(SHAPE), layer, layers.Flatten(), layers.Dense(1)])
    with pytest.raises(BadModel, match="computes hard_sigmoid as Keras 2 did"):
        plugin.read_file(written_by_keras_two(model, tmp_path / "m.h5"))
