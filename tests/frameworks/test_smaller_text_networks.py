"""Layers and units are left out of text networks of several architectures; what is left is an ordinary network."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evermodel
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.strategy import PRUNERS, Context, Split
from evermodel.plugins.frameworks import transformers as plugin
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.row_memory import read_memory
from evermodel.registry.versions import load_version
from evermodel.testing.pruners import check_pruner, check_zero_channels_can_be_removed
from tests.cli.ground import ask
from tests.frameworks.tiny_text_model import make_folder, make_rows

pytest.importorskip("transformers")
INTENTS = ("pay", "cook")
SMALL = {"vocab_size": 29, "num_labels": 2, "num_hidden_layers": 4, "num_attention_heads": 2, "hidden_size": 32}
INSIDE = {"intermediate_size": 48, "max_position_embeddings": 40, "pad_token_id": 0}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Bert": SMALL | INSIDE,
    "DistilBert": {"vocab_size": 29, "n_layers": 4, "n_heads": 2, "dim": 32, "hidden_dim": 48},
    "Llama": {**SMALL, **INSIDE, "num_key_value_heads": 1},
    "ModernBert": {**SMALL, **INSIDE, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "Albert": {**SMALL, **INSIDE, "embedding_size": 16},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier of two layers; no test writes to it."""
    return make_folder(tmp_path_factory.mktemp("deployed") / "intents", INTENTS)


@pytest.fixture
def build(folder: Path, tmp_path: Path) -> Any:
    """A function that makes a classifier of four layers of an architecture, with random weights, as read from disk."""

    def made(architecture: str) -> Any:
        import torch
        import transformers

        config = getattr(transformers, f"{architecture}Config")(**ARCHITECTURES[architecture])
        torch.manual_seed(0)
        getattr(transformers, f"{architecture}ForSequenceClassification")(config).save_pretrained(tmp_path / "made")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(folder / name, tmp_path / "made" / name)
        return plugin.read_file(tmp_path / "made")

    return made


def texts() -> Any:
    return make_rows(INTENTS, 40, 5).select("text")


@pytest.mark.parametrize("architecture", ["Bert", "DistilBert", "Llama", "ModernBert"])
def test_the_layers_that_stay_keep_their_weights(build: Any, tmp_path: Path, architecture: str) -> None:
    model = build(architecture)
    shorter = plugin.remove_layers(model, {1, 2})
    before, after = model.network.state_dict(), shorter.network.state_dict()
    (place, *_) = (name.split(".0.")[0] for name in before if ".0." in name)
    for new, old in ((0, 0), (1, 3)):
        names = [name for name in after if name.startswith(f"{place}.{new}.")]
        assert names
        for name in names:
            np.testing.assert_array_equal(after[name], before[name.replace(f".{new}.", f".{old}.", 1)])
    assert plugin.count_layers(model) == 4 and plugin.count_layers(shorter) == 2
    plugin.write_file(shorter, tmp_path / "written")
    again = plugin.read_file(tmp_path / "written")
    np.testing.assert_array_equal(plugin.predict(again, texts()), plugin.predict(shorter, texts()))


@pytest.mark.parametrize("architecture", ["Bert", "DistilBert", "Llama"])
def test_units_whose_weights_are_zero_can_be_removed(build: Any, architecture: str) -> None:
    model = build(architecture)
    assert [group.width for group in plugin.find_channel_groups(model)] == [48] * 4 or architecture == "DistilBert"
    check_zero_channels_can_be_removed(plugin, model, texts())


def test_what_cannot_be_left_out_is_said(build: Any) -> None:
    model = build("Bert")
    with pytest.raises(BadSetting, match="layers 0 to 3, and one must stay"):
        plugin.remove_layers(model, range(4))
    with pytest.raises(BadSetting, match="layers 0 to 3"):
        plugin.remove_layers(model, [4])
    with pytest.raises(BadSetting, match=r"each must lose as many units.*layer.0 would keep 47"):
        plugin.remove_channels(model, {"bert.encoder.layer.0": np.array([3])})
    with pytest.raises(BadModel, match="Use the pruner 'layers'"):
        plugin.find_channel_groups(build("ModernBert"))
    with pytest.raises(BadModel, match="no single chain of equal layers"):  # its layers share one set of weights
        plugin.count_layers(build("Albert"))


def test_a_layer_without_which_the_rest_is_no_network_must_stay(build: Any) -> None:
    with pytest.raises(BadModel, match="has other weights than those that are left"):
        plugin.remove_layers(build("ModernBert"), [0])


def test_a_layer_that_adds_nothing_is_not_missed(build: Any) -> None:
    import torch

    model = build("Llama")
    with torch.no_grad():
        for name, tensor in model.pretrained.named_parameters():
            if ".2." in name and ("o_proj" in name or "down_proj" in name):
                tensor.zero_()  # what this layer adds to its input is 0
    np.testing.assert_allclose(
        plugin.predict(plugin.remove_layers(model, [2]), texts()), plugin.predict(model, texts()), atol=1e-6
    )


@pytest.fixture(scope="module")
def adopted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = tmp_path_factory.mktemp("adopted") / "registry"
    evermodel.adopt(folder, data=make_rows(INTENTS, 400, 1), target="intent", name="m", registry=registry)
    return registry


@pytest.mark.parametrize("name", ["layers", "channels"])
def test_pruner_passes_all_checks(adopted: Path, name: str) -> None:
    store = open_store(adopted)
    model = load_version(store, champion_of(store, "m"))
    rows = read_memory(store, "m").rows(store, model.contract)
    assert rows is not None and len(rows) > 200
    split = Split(rows.rows(np.arange(64)), None, rows.rows(np.arange(64, 128)))
    check_pruner(PRUNERS.load(name), model, split)


def test_of_two_layers_the_one_that_says_less_goes(adopted: Path) -> None:
    store = open_store(adopted)
    model = load_version(store, champion_of(store, "m"))
    rows = read_memory(store, "m").rows(store, model.contract)
    assert rows is not None
    one, other = (
        float(evermodel_log_loss(dataclasses.replace(model, obj=plugin.remove_layers(model.obj, [at])), rows))
        for at in (0, 1)
    )
    kept = PRUNERS.load("layers")([model], Split(rows, None), Context(seed=0), ratio=0.5, recover=False)
    expected = plugin.remove_layers(model.obj, [0 if one < other else 1])
    np.testing.assert_array_equal(plugin.predict(kept.obj, texts()), plugin.predict(expected, texts()))


def evermodel_log_loss(model: Any, rows: Any) -> float:
    p = model.predict(rows.frame)
    return float(-np.log(p[np.arange(len(rows)), model.target(rows)]).mean())


def test_half_of_the_layers_go_by_one_command(adopted: Path, tmp_path: Path) -> None:
    make_rows(INTENTS, 400, 8).write_parquet(tmp_path / "new.parquet")
    words = ["prune", "m", str(tmp_path / "new.parquet"), "--with", "layers", "--ratio", "0.5"]
    answer = ask([*words, "--set", "epochs=2", "--set", "teaching=labels"], adopted)
    assert answer.code in (0, 10), answer.out + answer.err
    model = evermodel.open(adopted)["m"]
    assert plugin.count_layers(load_version(open_store(adopted), model.versions[-1].card).obj) == 1
