"""A version: a model in its safe formats and everything that is needed to use it, as files."""

from __future__ import annotations

import importlib.metadata
from functools import lru_cache
from pathlib import Path

import polars as pl

from evermodel.core import plugs
from evermodel.core.contract import Contract
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.store import Card, Store
from evermodel.core.transform import Transform
from evermodel.loop.golden import write_golden

PACKAGES = (
    "evermodel",
    "numpy",
    "polars",
    "scikit-learn",
    "keras",
    "tensorflow-cpu",
    "torch",
    "lightgbm",
    "xgboost-cpu",
)


def put_version(store: Store, model: Model, card: Card, rows: pl.DataFrame | None = None) -> Card:
    """Saves ``model`` as a new immutable version; returns its card with the version's number.

    A few of ``rows``, cleaned as its contract says, are kept with its predictions: they must never change.
    """
    staged = store.stage()
    save_version(staged, model)
    if rows is not None and len(rows):
        write_golden(staged, model, rows)
    return store.put(staged, card)


def save_version(staged: Path, model: Model) -> None:
    """The model's files into an empty folder; ``load_folder`` reads them."""
    (staged / "model").mkdir()
    model.framework.save(model.obj, staged / "model")
    (staged / "contract.json").write_text(model.contract.to_json())
    (staged / "transform.json").write_text(model.transform.to_json())
    (staged / "output.json").write_text(model.output.to_json())


def load_version(store: Store, card: Card) -> Model:
    """The model of a version, every file's hash checked first. Raises Damaged, MissingExtra."""
    return load_folder(store.get(card.name, card.version), card.framework)


def load_folder(at: Path, framework: str) -> Model:
    """The model saved in a version's folder."""
    plug = plugs.module("frameworks", framework)
    return Model(
        contract=Contract.from_json((at / "contract.json").read_text()),
        transform=Transform.from_json((at / "transform.json").read_text()),
        obj=plug.load(at / "model"),
        framework=plug,
        output=Output.from_json((at / "output.json").read_text()),
    )


def framework_name(model: Model) -> str:
    return model.framework.__name__.rsplit(".", 1)[-1]


@lru_cache
def package_versions() -> dict[str, str]:
    """What is installed of the packages that decide how a model behaves."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
