"""Builds the small registry under ``tests/fixtures/registry``: a model of each framework, adopted and updated once.

Later releases open a copy of it, migrate its records if need be, and must predict what is recorded beside it. Run it
only when the records or the files of models change in a way that old ones are not to be read any more:

    python scripts/make_fixture_registry.py tests/fixtures/registry
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import polars as pl

from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

REFERENCE, NEW, PROBE = 600, 400, 32  # rows to adopt with, to update with, and whose predictions are recorded
PREDICTIONS = "predictions.parquet"


def make_rows(n: int, seed: int) -> pl.DataFrame:
    """Three numbers and a label that depends on two of them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    y = (x[:, 0] - x[:, 1] + 0.5 * random.logistic(size=n) > 0).astype(np.int64)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})


def train_keras(x: np.ndarray, y: np.ndarray) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    model.fit(x, y, epochs=15, batch_size=32, verbose=0)
    return model


def train_torch(x: np.ndarray, y: np.ndarray) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    inputs, target = torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(model(inputs), target).backward()
        optimizer.step()
    return torch.export.export(model.eval(), (torch.zeros(2, 3),), dynamic_shapes=({0: torch.export.Dim("rows")},))


def train_sklearn(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(x, y)


def train_lightgbm(x: np.ndarray, y: np.ndarray) -> Any:
    import lightgbm

    settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "deterministic": True}
    return lightgbm.train(settings, lightgbm.Dataset(x, y), 10)


def train_xgboost(x: np.ndarray, y: np.ndarray) -> Any:
    import xgboost

    settings = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": 0}
    return xgboost.train(settings, xgboost.DMatrix(x, y), 10)


TRAINERS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "keras": train_keras,
    "torch": train_torch,
    "sklearn": train_sklearn,
    "lightgbm": train_lightgbm,
    "xgboost": train_xgboost,
}


def save_model(framework: str, model: Any, folder: Path) -> Any:
    """A file to adopt, or the live object where that is what people adopt."""
    if framework != "torch":
        return model
    import torch

    torch.export.save(model, folder / "model.pt2")
    return folder / "model.pt2"


def record_predictions(registry: Path) -> pl.DataFrame:
    """The predictions of every version for the probe rows: model, version, row, class, probability."""
    store, probe = open_store(registry), make_rows(PROBE, 3)
    parts = []
    for name in TRAINERS:
        for card in store.list_cards(name):
            p = load_version(store, card).predict(probe)
            row, column = np.indices(p.shape)
            parts.append(
                pl.DataFrame({"row": row.ravel(), "class": column.ravel(), "p": p.ravel().astype(np.float64)}).select(
                    pl.lit(name).alias("model"), pl.lit(card.version).alias("version"), pl.all()
                )
            )
    return pl.concat(parts)


def make_registry(to: Path) -> None:
    """Writes the registry and the predictions of its versions into the folder ``to``, which is made anew."""
    import evermodel

    if to.exists():
        shutil.rmtree(to)
    registry = to / "registry"
    registry.mkdir(parents=True)
    trained_on = make_rows(REFERENCE, 0)
    x, y = trained_on.select("a", "b", "c").to_numpy(), trained_on["y"].to_numpy()
    for framework, train in TRAINERS.items():
        model = save_model(framework, train(x, y), to)
        evermodel.adopt(model, data=make_rows(REFERENCE, 1), target="y", name=framework, registry=registry)
        evermodel.update(framework, make_rows(NEW, 2), strategy="refit", registry=registry)
    record_predictions(registry).write_parquet(to / PREDICTIONS)
    (to / "model.pt2").unlink(missing_ok=True)
    open_store(registry).upkeep.compact()
    for folder in ("staging", "scratch"):
        shutil.rmtree(registry / folder, ignore_errors=True)
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    print(f"{to}: {len(TRAINERS)} models, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    make_registry(Path(sys.argv[1]))
