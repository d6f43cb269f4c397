"""Small networks and rows for the Keras tests."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

TWO = (0, 1)


def network(outputs: int = 1, activation: str | None = "sigmoid", *inside: Any, inputs: int = 6) -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(16, activation="relu"),
            *inside,
            layers.Dense(outputs, activation=activation),
        ]
    )


def compiled(model: Any, loss: Any = "binary_crossentropy", rate: float = 0.01) -> Any:
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def rows(n: int = 600, classes: int = 2) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(n, 6)).astype("float32")
    return x, np.clip((x[:, 0] + x[:, 1] + 1).astype(int), 0, classes - 1)
