"""Files of Keras 1 and 2 with layers for NVIDIA's cuDNN, and optimizers whose memory has no names.

There is neither a Keras 2 nor such a GPU here: what the layers compute is written out below by the definition of cuDNN
(y = W x + R h + b_W + b_R for each gate, W as (units, inputs)).
"""

from __future__ import annotations

import importlib.util
import json
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

STEPS, INPUTS, UNITS = 6, 3, 4
DRAW = np.random.default_rng(0)
X = DRAW.normal(0.0, 1.0, (20, STEPS, INPUTS)).astype("float32")


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def as_cudnn(kind: str, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """What the layer answers after the last step."""
    n = {"LSTM": 4, "GRU": 3}[kind]
    w = [k.ravel().reshape(UNITS, INPUTS) for k in np.hsplit(kernel, n)]
    r = np.hsplit(recurrent, n)
    b_w, b_r = (np.split(half, n) for half in np.split(bias, 2))
    h = c = np.zeros((len(X), UNITS))
    for t in range(STEPS):
        inputs = [X[:, t] @ w[g].T + b_w[g] for g in range(n)]
        states = [h @ r[g].T + b_r[g] for g in range(n)]
        if kind == "LSTM":
            i, f, o = (sigmoid(inputs[g] + states[g]) for g in (0, 1, 3))
            c = f * c + i * np.tanh(inputs[2] + states[2])
            h = o * np.tanh(c)
        else:
            z, reset = (sigmoid(inputs[g] + states[g]) for g in (0, 1))
            h = z * h + (1.0 - z) * np.tanh(inputs[2] + reset * states[2])
    return h


def written(kind: str, to: Path) -> tuple[Path, list[Any]]:
    """A file with one such layer and a Dense one: one of Keras 3, its layer renamed and its weights replaced."""
    layer = layers.LSTM(UNITS) if kind == "LSTM" else layers.GRU(UNITS, reset_after=True)
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), layer, layers.Dense(1, "sigmoid")])
    model.save(to)
    n = {"LSTM": 4, "GRU": 3}[kind]
    arrays = [DRAW.normal(0.0, 0.7, shape) for shape in ((INPUTS, n * UNITS), (UNITS, n * UNITS), (2 * n * UNITS,))]
    with h5py.File(to, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (entry,) = (e for e in config["config"]["layers"] if e["class_name"] == kind)
        entry["class_name"] = f"CuDNN{kind}"
        gone = ("activation", "recurrent_activation", "reset_after", "implementation", "dropout", "recurrent_dropout")
        for word in (*gone, "use_bias", "unroll", "seed", "use_cudnn", "zero_output_for_mask"):
            entry["config"].pop(word, None)
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.2.4"
        group = file["model_weights"][layer.name]
        for name, array in zip(group.attrs["weight_names"], arrays, strict=True):
            del group[name]
            group[name] = array.astype("float32")
    return to, [*arrays, *model.layers[-1].get_weights()]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_layer_for_cudnn_answers_as_it_did_there(kind: str, tmp_path: Path) -> None:
    file, (*arrays, kernel, bias) = written(kind, tmp_path / "m.h5")
    expected = sigmoid(as_cudnn(kind, *arrays) @ kernel + bias)
    np.testing.assert_allclose(plugin.read_file(file).predict(X, verbose=0), expected, atol=1e-6)


def test_a_bias_of_another_length_is_refused(tmp_path: Path) -> None:
    file, _ = written("LSTM", tmp_path / "m.h5")
    with h5py.File(file, "r+") as opened:
        (name,) = (n for n in opened["model_weights"] if "lstm" in n)
        group = opened["model_weights"][name]
        bias = group.attrs["weight_names"][-1]
        del group[bias]
        group[bias] = np.zeros(5 * UNITS, dtype="float32")
    with pytest.raises(BadModel, match="needs weights of shapes"):
        plugin.read_file(file)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", keras.optimizers.SGD(0.1, momentum=0.9)])
def test_an_optimizer_without_names_goes_on(optimizer: Any, tmp_path: Path) -> None:
    """Before Keras 2.3 it wrote all first moments, then all second ones, then a placeholder for each weight."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, "relu"), layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(DRAW.normal(size=(64, 3)), DRAW.normal(size=64), epochs=2, verbose=0)
    model.save(tmp_path / "m.h5")
    memory = [np.asarray(v) for v in model.optimizer.variables][2:]
    n_weights = len(model.trainable_variables)
    kinds, is_adam = len(memory) // n_weights, isinstance(model.optimizer, keras.optimizers.Adam)
    by_kind = [memory[i::kinds] for i in range(kinds)] if is_adam else [memory]
    nameless = [array for arrays in by_kind for array in arrays]
    nameless += [np.zeros(1, "float32")] * (n_weights if is_adam else 0)
    names = ["Opt/iterations:0", *(f"training/Opt/Variable{f'_{i}' if i else ''}:0" for i in range(len(nameless)))]
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["optimizer_weights"]
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, [np.asarray(model.optimizer.iterations), *nameless], strict=True):
            group[name] = array
        file.attrs["keras_version"] = "2.2.4"
    read = plugin.read_file(tmp_path / "m.h5")
    assert int(read.optimizer.iterations) == int(model.optimizer.iterations) > 0
    for mine, theirs in zip([np.asarray(v) for v in read.optimizer.variables][2:], memory, strict=True):
        np.testing.assert_array_equal(mine, theirs)
