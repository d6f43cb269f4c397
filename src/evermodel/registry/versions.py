"""A version: a model in its safe formats and everything that is needed to use it, as files."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from functools import lru_cache
from pathlib import Path

import polars as pl

from evermodel.core.data.contract import Contract
from evermodel.core.errors import Damaged
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Transform
from evermodel.core.records.model_signature import ModelSignature
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.registry.golden_predictions import write_golden
from evermodel.registry.upkeep.version_signature import SIGN_KEY, SIGNING_KEY, VERIFY_KEY, sign_if_asked, verify_version

PACKAGES = (
    "evermodel",
    "numpy",
    "polars",
    "scikit-learn",
    "keras",
    "tensorflow-cpu",
    "torch",
    "transformers",
    "peft",
    "lightgbm",
    "xgboost-cpu",
    "catboost",
)


def put_version(store: Store, model: Model, card: VersionCard, rows: pl.DataFrame | None = None) -> VersionCard:
    """Saves ``model`` as a new immutable version; returns its card with the version's number.

    A few of ``rows``, cleaned as its contract says, are kept with its predictions: they must never change.
    """
    staged = store.staging_folder()
    save_version(staged, model)
    if rows is not None and len(rows):
        write_golden(staged, model, rows)
    signature = ModelSignature(model.transform.inputs, model.contract.outputs, model.contract.row_format)
    if signature != ModelSignature():
        card = dataclasses.replace(card, signature=signature)
    if SIGNING_KEY.get() or os.environ.keys() & {SIGN_KEY, VERIFY_KEY}:
        sign_if_asked(staged, card)
    return store.add_version(staged, card)


def save_version(staged: Path, model: Model) -> None:
    """The model's files into an empty folder; ``load_folder`` reads them."""
    (staged / "model").mkdir()
    model.framework.save(model.obj, staged / "model")
    (staged / "contract.json").write_text(model.contract.to_json())
    (staged / "transform.json").write_text(model.transform.to_json())
    (staged / "output.json").write_text(model.output.to_json())


def load_version(store: Store, card: VersionCard) -> Model:
    """The model of a version, every file's hash checked first.

    Raises Damaged, NotSigned, MissingExtra.
    """
    at = store.version_folder(card.name, card.version)
    if VERIFY_KEY in os.environ:
        verify_version(at, card)
    return load_folder(at, card.framework)


def load_folder(at: Path, framework: str) -> Model:
    """The model saved in a version's folder. Raises Damaged where a part of it is not there."""
    plugin = FRAMEWORKS.load_module(framework)
    for part in ("contract.json", "transform.json", "output.json", "model"):
        if not (at / part).exists():
            raise Damaged(f"{part} is missing in {at}.", "'evermodel doctor' says what helps.")
    return Model(
        contract=Contract.from_json((at / "contract.json").read_text()),
        transform=Transform.from_json((at / "transform.json").read_text()),
        obj=plugin.load(at / "model"),
        framework=plugin,
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
