"""A registry written by an earlier release is opened, migrated where need be, and predicts what it predicted then.

``scripts/make_fixture_registry.py`` builds it. Trees and linear models must predict bit for bit. Networks may differ by
``NETWORK_TOLERANCE``: TensorFlow and PyTorch choose their kernels by the processor they run on.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.records.event import EventKind
from evermodel.core.records.update_decision import EVENT_KINDS
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "registry"
MODELS = ("keras", "torch", "sklearn", "lightgbm", "xgboost")
NETWORK_TOLERANCE = 1e-6  # of probabilities


def load_script():
    spec = importlib.util.spec_from_file_location(
        "make_fixture_registry", ROOT / "scripts" / "make_fixture_registry.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A copy: opening a registry may migrate it."""
    to = tmp_path_factory.mktemp("fixture") / "registry"
    shutil.copytree(FIXTURE / "registry", to)
    return to


@pytest.mark.parametrize("name", MODELS)
def test_every_version_predicts_what_it_predicted_when_it_was_written(registry, name):
    pytest.importorskip({"keras": "tensorflow"}.get(name, name))
    script, store = load_script(), open_store(registry)
    recorded = pl.read_parquet(FIXTURE / script.PREDICTIONS).filter(pl.col("model") == name)
    probe = script.make_rows(script.PROBE, 3)
    assert recorded["version"].unique().sort().to_list() == ["v1", "v2"]
    for card in store.list_cards(name):
        expected = recorded.filter(pl.col("version") == card.version)["p"].to_numpy().reshape(script.PROBE, -1)
        p = load_version(store, card).predict(probe).astype(np.float64)
        if name in ("keras", "torch"):
            np.testing.assert_allclose(p, expected, rtol=0, atol=NETWORK_TOLERANCE)
        else:
            np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize("name", MODELS)
def test_cards_and_events_are_read(registry, name):
    store = open_store(registry)
    first, second = store.list_cards(name)
    assert first.adoption is not None and first.adoption.scores["auc"] > 0.6
    assert second.update is not None and second.parents == ("v1",)
    adopted, decided = store.read_events(name)
    assert adopted.kind is EventKind.ADOPTED and decided.kind is EVENT_KINDS[second.update.decision]
    assert store.resolve_alias(name, "champion") == ("v2" if decided.kind is EventKind.PROMOTED else "v1")
    assert [row["what"] for row in evermodel.log(name, registry=registry).rows] == [adopted.kind, decided.kind]


def test_the_fixture_is_small_and_has_every_model():
    assert sum(file.stat().st_size for file in FIXTURE.rglob("*") if file.is_file()) < 2_000_000
    assert {at.name for at in (FIXTURE / "registry" / "versions").iterdir()} == set(MODELS)
