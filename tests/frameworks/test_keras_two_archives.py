"""``.keras`` archives that Keras 2 itself wrote (keras_two/write.py), and layers that normalise."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras

from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import keras as plugin
from evermodel.plugins.frameworks._keras.editing import copy_model, output_heads

HERE = Path(__file__).parent / "keras_two"


def normalising(mean: float, head: str = "sigmoid") -> Any:
    keras.utils.set_random_seed(1)
    normal = keras.layers.Normalization()
    normal.adapt(np.random.default_rng(0).normal(mean, 3.0, (200, 4)))
    model = keras.Sequential([keras.Input((4,)), normal, keras.layers.Dense(8, "relu"), keras.layers.Dense(1, head)])
    model.compile("adam", "binary_crossentropy")
    return model


@pytest.mark.parametrize("name", ["mlp", "conv", "gru", "nested"])
def test_a_keras_two_archive_predicts_and_goes_on(name: str, tmp_path: Path) -> None:
    told = np.load(HERE / f"{name}.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = plugin.read_file(HERE / f"{name}.keras")
    np.testing.assert_allclose(plugin.predict(model, told["x"]), told["p"], atol=1e-6)
    assert plugin.count_steps(model) == 2 * -(-len(told["x"]) // 32)
    memory = [np.asarray(v) for v in model.optimizer.variables][2:]
    assert name == "conv" or any(np.any(m) for m in memory), "plain SGD alone has nothing to remember"
    plugin.write_file(model, tmp_path / "m.keras")
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "m.keras").predict(told["x"], verbose=0), told["p"], atol=1e-6
    )


def test_what_a_normalisation_layer_learnt_is_kept_everywhere() -> None:
    """It computes with constants that are no weights: two models of one structure must not share a graph of them."""
    x = np.random.default_rng(2).normal(2.0, 3.0, (50, 4)).astype("float32")
    for model in (normalising(0.0), normalising(50.0)):
        expected = np.asarray(model(x))
        np.testing.assert_allclose(plugin.predict(model, x), expected, atol=1e-6)
        np.testing.assert_allclose(plugin.predict(copy_model.copy(model), x), expected, atol=1e-6)
        odds = output_heads.logits(model, x)
        assert odds is not None
        np.testing.assert_allclose(1 / (1 + np.exp(-odds)), expected, atol=1e-6)


@pytest.mark.parametrize("told", [Training(epochs=3, seed=1), Training(steps=30, batch_size=16, seed=1)])
def test_training_normalises_as_deployed(told: Training) -> None:
    """Whichever model of the structure was trained before."""
    x = np.random.default_rng(3).normal(50.0, 3.0, (200, 4)).astype("float32")
    y = (x[:, 0] > 50).astype("int64")
    plugin.fit(normalising(0.0), x, y, told, from_scratch=True)
    made = plugin.fit(normalising(50.0), x, y, told, from_scratch=True)
    layer = made.layers[0]
    np.testing.assert_allclose(np.asarray(layer.mean).ravel(), 50.0, atol=1.0)
    np.testing.assert_allclose(plugin.predict(made, x), np.asarray(made(x)), atol=1e-6)
    far = plugin.fit(normalising(0.0), x - 50.0, y, told, from_scratch=True)
    gap = np.abs(plugin.predict(made, x) - plugin.predict(far, x - 50.0)).max()
    assert gap < 0.2, "the same rows behind another mean train the same network"
