"""Makes what ``evermodel demo`` ships: the stream in blocks, and the deployed Keras model trained on its first part.

    python scripts/make_demo.py BANK_MARKETING.parquet

Bank Marketing (Moro, Rita, Cortez; UCI 222) is CC BY 4.0. The model is trained as its makers would have: numbers
standardised, categories one-hot, ten epochs, saved as ``existing_model.h5``; its scaler is thrown away, as usual.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import polars as pl

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
TO = Path(__file__).parents[1] / "src" / "evermodel" / "export" / "_demo"
FIRST = 9_000  # rows the model was deployed on: May to early June 2008
HIDDEN = ("call_duration_s", "row_order", "year")  # the duration is known only after the call


def main() -> None:
    rows = pl.read_parquet(sys.argv[1]).drop(HIDDEN)
    rows.write_parquet(TO / "bank_marketing.parquet", compression="zstd", compression_level=19)
    train(rows[:FIRST]).save(TO / "existing_model.h5")


def train(rows: pl.DataFrame):
    import keras

    y = rows["subscribed"].to_numpy()
    inputs = rows.drop("subscribed")
    texts = [c for c in inputs.columns if inputs[c].dtype == pl.String]
    numbers = inputs.drop(texts).cast(pl.Float64).to_numpy()
    scaled = (numbers - numbers.mean(axis=0)) / np.where(numbers.std(axis=0) > 0, numbers.std(axis=0), 1.0)
    hot = inputs.select(texts).to_dummies().cast(pl.Float64).to_numpy()
    x = np.hstack([scaled, hot]).astype("float32")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=10, verbose=0)
    return model


if __name__ == "__main__":
    main()
