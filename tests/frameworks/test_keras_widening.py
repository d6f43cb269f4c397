"""Keras models gain inputs and classes; old rows are predicted as before."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip('needs pip install "evermodel[keras]"', allow_module_level=True)

import keras
from keras import layers
from keras_networks import TWO, compiled, network, rows

from evermodel.core.errors import BadModel
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import keras as plugin


@pytest.mark.parametrize(
    ("outputs", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (3, "softmax", "sparse_categorical_crossentropy"),
        (3, "softmax", "categorical_crossentropy"),
    ],
)
def test_new_classes_leave_old_predictions_as_they_were(outputs: int, activation: str, loss: str) -> None:
    classes = max(outputs, 2)
    x, y = rows(classes=classes)
    model = plugin.fit(
        compiled(network(outputs, activation), loss),
        x,
        y,
        Training(epochs=3, classes=(*range(classes),)),
        from_scratch=False,
    )
    wide = plugin.widen(model, inputs=6, outputs=classes + 2)
    old, new = plugin.predict(model, x), plugin.predict(wide, x)
    old = np.concatenate([1 - old, old], axis=1) if outputs == 1 else old
    assert np.abs(new[:, :classes] - old).max() < 1e-6
    assert new[:, classes:].max() < 1e-6
    more = (*range(classes + 2),)
    taught = plugin.fit(
        wide, x, np.where(x[:, 2] > 0.5, classes, y), Training(epochs=15, classes=more), from_scratch=False
    )
    assert (plugin.predict(taught, x).argmax(1)[x[:, 2] > 0.8] == classes).mean() > 0.8


def functional() -> Any:
    keras.utils.set_random_seed(0)
    given = keras.Input((6,))
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(layers.Dense(5, activation="relu")(given)))


@pytest.mark.parametrize("make", [network, functional])
def test_new_inputs_change_nothing_until_they_are_learnt(make: Any, tmp_path: Path) -> None:
    model = compiled(make())
    wide = plugin.widen(model, inputs=9, outputs=1)
    x = np.random.default_rng(1).normal(size=(50, 9)).astype("float32")
    assert np.abs(plugin.predict(wide, x) - plugin.predict(model, x[:, :6])).max() < 1e-6
    plugin.save(wide, tmp_path)
    assert np.array_equal(plugin.predict(plugin.load(tmp_path), x), plugin.predict(wide, x))
    grown = plugin.fit(wide, x, (x[:, 8] > 0).astype(int), Training(epochs=40, classes=TWO), from_scratch=False)
    assert ((plugin.predict(grown, x)[:, 0] > 0.5) == (x[:, 8] > 0)).mean() > 0.9


def test_what_cannot_be_widened_says_why() -> None:
    with pytest.raises(BadModel, match="only be widened"):
        plugin.widen(network(3, "softmax"), inputs=6, outputs=2)
    with pytest.raises(BadModel, match="classifier"):
        plugin.widen(compiled(network(1, None), "mse"), inputs=6, outputs=2)
    image = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, activation="softmax")])
    with pytest.raises(BadModel, match="New inputs"):
        plugin.widen(image, inputs=4, outputs=4)
