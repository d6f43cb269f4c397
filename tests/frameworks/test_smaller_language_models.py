"""Language models with fewer layers, or narrower ones: ordinary smaller networks that write and are judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel as em
from evermodel.plugins.frameworks import language_models as plugin
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from tests.cli.ground import ask
from tests.frameworks.test_free_text import make_rows
from tests.frameworks.tiny_language_model import LABELS, make_language_model
from tests.frameworks.tiny_text_model import make_rows as make_labelled_rows

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ "m" writes texts; an update has taught it."""
    at = tmp_path_factory.mktemp("pruned")
    model = make_language_model(at / "words", trained_on=LABELS)
    told = {"target": "completion", "task": "text", "inputs": ["prompt"], "name": "m", "registry": at / "r"}
    em.adopt(model, data=make_rows(80, 1), **told)
    settings = {"epochs": 5, "learning_rate": 0.01}
    assert (
        em.update("m", make_rows(160, 2), registry=at / "r", strategy="lora", settings=settings, refit=False).decision
        == "promote"
    )
    return at / "r"


def read(registry: Path, version: str) -> Any:
    store = open_store(registry)
    return load_version(store, store.read_card("m", version)).obj


@pytest.mark.parametrize("pruner", ["layers", "channels"])
def test_a_model_that_writes_is_pruned_judged_and_saved(registry: Path, pruner: str, tmp_path: Path) -> None:
    settings = {"epochs": 3, "teaching": "auto" if pruner == "layers" else "labels"}
    found = em.prune("m", make_rows(200, len(pruner)), pruner=pruner, ratio=0.5, settings=settings, registry=registry)
    assert found.decision in ("promote", "hold", "reject") and found.challenger is not None
    assert found.size[1] < found.size[0]
    before, after = read(registry, found.champion), read(registry, found.challenger)
    config, parent = after.network.config, before.network.config
    if pruner == "layers":
        assert plugin.count_layers(after) == config.num_hidden_layers == plugin.count_layers(before) // 2
    else:
        assert config.intermediate_size < parent.intermediate_size
        assert config.num_hidden_layers == parent.num_hidden_layers
    assert not after.trained, "the adapter has become part of the weights"
    if pruner == "layers":  # of both it is the same: a clean process takes many seconds to start
        answer = ask(["save", "m", "--version", found.challenger, "--to", str(tmp_path / pruner)], registry)
        assert answer.code == 0 and "loaded in a clean process" in answer.out, answer.out + answer.err


def test_units_without_weights_change_nothing_when_they_go(registry: Path) -> None:
    model = read(registry, "v2")
    rows = make_rows(8, 5)
    gone = {group.name: np.arange(0, group.width, 3) for group in plugin.find_channel_groups(model)}
    masked = plugin.mask_channels(model, gone)
    smaller = plugin.remove_channels(masked, gone)
    x, answers = rows.select("prompt"), rows["completion"].to_list()
    assert np.allclose(
        plugin.measure_answers(masked, x, answers), plugin.measure_answers(smaller, x, answers), atol=1e-4
    )
    assert plugin.write_answers(masked, x) == plugin.write_answers(smaller, x)
    assert not np.allclose(plugin.measure_answers(model, x, answers), plugin.measure_answers(smaller, x, answers))


def test_a_model_that_answers_with_labels_is_pruned_too(tmp_path: Path) -> None:
    model = make_language_model(tmp_path / "words", trained_on=LABELS, num_hidden_layers=2)
    em.adopt(model, data=make_labelled_rows(LABELS, 80, 1), target="intent", name="m", registry=tmp_path / "r")
    found = em.prune("m", make_labelled_rows(LABELS, 160, 2), ratio=0.5, registry=tmp_path / "r")
    assert found.settings["with"] == "layers" and found.challenger is not None
    texts = make_labelled_rows(LABELS, 6, 3).select("text")
    predicted = em.predict("m", texts, version=found.challenger, registry=tmp_path / "r")
    assert set(predicted["prediction"]) <= set(LABELS) and predicted.select(pl.col("^p_.*$")).to_numpy().min() >= 0
