"""Small torch networks of one lineage, and of independent starts, with rows to train, choose and judge on."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Split
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles

CLASSES = (0, 1, 2)


def table(n: int, seed: int) -> Table:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2)) * (3.0, 0.5) + (1.0, -2.0)
    z, w = (x[:, 0] - 1.0) / 3.0, (x[:, 1] + 2.0) / 0.5
    y = np.where(z * w > 0, 0, np.where(z > 0, 1, 2))
    y = np.where(random.random(n) < 0.05, random.integers(0, 3, n), y)
    return Table(pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}), Roles("y"), np.zeros(n, dtype=np.int64))


def untrained(seed: int, kind: str = "torch") -> Model:
    contract = Contract("multiclass", Roles("y"), tuple(Column(c, "number", "Float64") for c in "ab"), CLASSES)
    transform = Transform(
        (Feature("a", center=1.0, scale=3.0), Feature("b", center=-2.0, scale=0.5)), scaling="standard"
    )
    return Model(contract, transform, _network(kind, seed), FRAMEWORKS.load_module(kind), Output(_kind(kind)))


def _kind(kind: str) -> str:
    return "logit" if kind == "torch" else "probability"


def _network(kind: str, seed: int):
    if kind == "keras":
        import keras

        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(24, "relu"), keras.layers.Dense(16, "relu"), keras.layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((2,)), *layers])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model
    import torch
    from torch import nn

    from evermodel.plugins.frameworks import torch as plugin

    torch.manual_seed(seed)
    hidden = [nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU()]
    return plugin.convert_object(nn.Sequential(*hidden, nn.Linear(16, 3)))


def trained(model: Model, rows: Table, seed: int, epochs: int = 12, *, from_scratch: bool = True) -> Model:
    return model.fit(
        rows, Training(epochs=epochs, seed=seed, learning_rate=0.01, batch_size=32), from_scratch=from_scratch
    )


def family(kind: str = "torch") -> list[Model]:
    """A common ancestor and two that went on from it on rows of their own."""
    ancestor = trained(untrained(0, kind), table(600, 1), 1)
    return [ancestor, *(trained(ancestor, table(400, s), s, 4, from_scratch=False) for s in (2, 3))]


def strangers(kind: str = "torch") -> list[Model]:
    """Two trainings from independent starts; the second one normalises by numbers of its own."""
    one, two = (trained(untrained(s, kind), table(900, s), s, 25) for s in (11, 12))
    return [one, two]


def split() -> Split:
    return Split(table(300, 21), table(300, 22), table(400, 23))


def renormalised(model: Model, center: float, scale: float) -> Model:
    """The same structure behind another normalisation."""
    features = tuple(
        dataclasses.replace(f, center=f.center + center, scale=f.scale * scale) for f in model.transform.features
    )
    return dataclasses.replace(model, transform=dataclasses.replace(model.transform, features=features))
