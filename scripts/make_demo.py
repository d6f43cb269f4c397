"""Make what ``evermodel demo`` ships: extracts of three data sets, and a model deployed on the oldest rows.

    python scripts/make_demo.py FOLDER_OF_THE_DATA_SETS

``FOLDER/NAME/NAME.parquet`` is read for the three sets ``gas_sensor_drift``, ``bank_marketing`` and
``bike_sharing_hourly``, which are the files of the UCI repository (270, 222 and 275; CC BY 4.0). Columns that leak the
answer are dropped, and the sensors' numbers are rounded to four significant digits, which makes the file a third
smaller. Each model is trained as its maker would have done it, with seed 0.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.demo.streams import DATA, Stream, bank, bike, gas
from evermodel.demo.textbook import OneHot, train_booster

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
BANK_LEAKS = ("call_duration_s", "row_order")  # the duration is known only after the call
BIKE_LEAKS = ("rentals_casual", "rentals_registered", "year_index")  # the first two add up to the answer


def main() -> None:
    source = Path(sys.argv[1])
    gas_rows = _read(source, "gas_sensor_drift").drop("months", "concentration_ppmv")
    sensors = [c for c in gas_rows.columns if c not in ("batch", "gas")]
    _write(gas_rows.with_columns(_rounded(gas_rows[c]) for c in sensors), "gas_sensors")
    _write(_read(source, "bank_marketing").drop(BANK_LEAKS), "bank_marketing")
    _write(_read(source, "bike_sharing_hourly").drop(BIKE_LEAKS), "bike_sharing")
    for stream in (gas(), bank()):
        deploy_network(stream)
    deploy_booster(bike())


def _read(source: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(source / name / f"{name}.parquet")


def _write(rows: pl.DataFrame, name: str) -> None:
    rows.write_parquet(DATA / f"{name}.parquet", compression="zstd", compression_level=22)


def _rounded(column: pl.Series, digits: int = 4) -> pl.Series:
    values = column.to_numpy().astype(float)
    size = np.abs(np.where(values == 0, 1.0, values))
    unit = 10.0 ** (np.floor(np.log10(size)) - digits + 1)
    return pl.Series(column.name, np.round(values / unit) * unit).cast(pl.Float32)


def deploy_network(stream: Stream) -> None:
    """A network on standardised numbers, categories as flags; its scaler is thrown away, as often happens."""
    import keras

    keras.utils.set_random_seed(0)
    rows = stream.blocks[0]
    x = OneHot(rows.drop(stream.target)).encode(rows)
    flags = ((x == 0) | (x == 1)).all(axis=0)
    x = np.where(flags, x, (x - x.mean(axis=0)) / np.where(flags, 1.0, x.std(axis=0)))
    classes = sorted(rows[stream.target].unique())
    y = np.array([classes.index(value) for value in rows[stream.target]])
    last = keras.layers.Dense(1, "sigmoid") if len(classes) == 2 else keras.layers.Dense(len(classes), "softmax")
    loss = "binary_crossentropy" if len(classes) == 2 else "sparse_categorical_crossentropy"
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(32, "relu"), last]
    model = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    model.fit(x.astype("float32"), y, batch_size=64 if len(x) > 5_000 else 32, epochs=20, verbose=0)
    model.save(stream.shipped_model)


def deploy_booster(stream: Stream) -> None:
    """A hundred rounds of LightGBM with its default settings."""
    rows = stream.blocks[0]
    inputs = rows.drop(stream.target, "timestamp")
    x, y = inputs.to_numpy().astype("float64"), rows[stream.target].to_numpy()
    train_booster(x, y, inputs.columns).save_model(stream.shipped_model)


if __name__ == "__main__":
    main()
