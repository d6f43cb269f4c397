"""Writes the ``.keras`` files of this folder with Keras 2, and what it predicts; to be run where ``tf_keras`` is.

python tests/frameworks/keras_two/write.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def saved(name: str, model: Any, x: np.ndarray, y: np.ndarray, optimizer: str, loss: str) -> None:
    model.compile(optimizer, loss)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(HERE / f"{name}.keras")
    np.savez_compressed(HERE / f"{name}.npz", x=x, p=model.predict(x, verbose=0))


def main() -> None:
    import tf_keras as keras

    layers = keras.layers
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    x = random.random((64, 6), np.float32)
    y = (x[:, 0] > 0.5).astype(np.float32)
    body = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(1, "sigmoid")]
    saved("mlp", keras.Sequential([keras.Input((6,)), *body]), x, y, "adam", "binary_crossentropy")

    source = keras.Input((8, 8, 3))
    h = layers.SeparableConv2D(4, 3, padding="same")(layers.Conv2D(4, 3, padding="same", activation="relu")(source))
    h = layers.GlobalAveragePooling2D()(layers.Add()([h, layers.Conv2D(4, 1)(source)]))
    conv = keras.Model(source, layers.Dense(3, "softmax")(h))
    pictures = random.random((16, 8, 8, 3), np.float32)
    saved("conv", conv, pictures, np.arange(16) % 3, "sgd", "sparse_categorical_crossentropy")

    words = random.integers(0, 9, (32, 5))
    gru = keras.Sequential([keras.Input((5,)), layers.Embedding(9, 4), layers.GRU(3), layers.Dense(2, "softmax")])
    saved("gru", gru, words, np.arange(32) % 2, "rmsprop", "sparse_categorical_crossentropy")

    inner = keras.Sequential([keras.Input((6,)), layers.Dense(5, "relu"), layers.Dense(4, "tanh")], name="inner")
    normal = layers.Normalization()
    normal.adapt(x)
    source = keras.Input((6,))
    saved("nested", keras.Model(source, layers.Dense(1)(inner(normal(source)))), x, y, "adam", "mse")


if __name__ == "__main__":
    main()
