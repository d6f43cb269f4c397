"""Language models that answer with one of known labels: what only this framework has."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadModel, BadSetting, Unsafe
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import language_models as plugin
from evermodel.plugins.frameworks import transformers as classifiers
from evermodel.plugins.frameworks._causal.answer_scores import check_memory
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version
from tests.cli.ground import ask
from tests.frameworks.tiny_language_model import LABELS, make_language_model
from tests.frameworks.tiny_text_model import make_folder, make_rows

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that answers two intents; no test writes to it."""
    return make_language_model(tmp_path_factory.mktemp("deployed") / "words", trained_on=LABELS)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return plugin.name_labels(plugin.read_file(folder), LABELS)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "words"))


def texts(n: int = 40, seed: int = 5) -> pl.DataFrame:
    return make_rows(LABELS, n, seed).select("text")


def train(model: Any, part: TrainablePart, labels: tuple[str, ...] = LABELS, **changes: Any) -> Any:
    rows = make_rows(labels, 160, 9)
    y = rows["intent"].replace_strict({label: code for code, label in enumerate(labels)}).to_numpy()
    told = Training(**{"classes": labels, "epochs": 2, "seed": 3, **changes})
    return plugin.fit(plugin.choose_trainable(model, part), rows.select("text"), y, told, from_scratch=False)


def share_right(model: Any, labels: tuple[str, ...]) -> float:
    rows = make_rows(labels, 200, 21)
    y = rows["intent"].replace_strict({label: code for code, label in enumerate(labels)}).to_numpy()
    return float((plugin.predict(model, rows.select("text")).argmax(axis=1) == y).mean())


def test_a_label_scores_what_transformers_says_of_its_tokens(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    labels = ("pay", "cook the soup", "b")
    network = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [*texts(12)["text"].to_list(), "", "x"]
    found = plugin.predict(plugin.name_labels(plugin.read_file(folder), labels), pl.DataFrame({"text": rows}))
    for row, text in enumerate(rows):
        prompt = tokenizer.encode(f"{text}\n").ids
        for column, label in enumerate(labels):
            answer = [*tokenizer.encode(label).ids, 1]
            with torch.inference_mode():
                logs = network(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(dim=-1)
            expected = sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))
            assert found[row, column] == pytest.approx(expected, abs=1e-4)


def test_it_answers_what_it_was_taught(model: Any) -> None:
    assert share_right(model, LABELS) > 0.95
    one, two = plugin.predict(model, pl.DataFrame({"text": [None, ""]}, schema={"text": pl.String}))
    np.testing.assert_array_equal(one, two)


def test_labels_are_named_without_a_training(model: Any, folder: Path) -> None:
    bare = plugin.read_file(folder)
    assert plugin.read_signature(bare).classes is None
    with pytest.raises(BadModel, match="none were named"):
        plugin.predict(bare, texts())
    wider = plugin.name_labels(model, (*LABELS, "fly"))
    np.testing.assert_allclose(plugin.predict(wider, texts())[:, :2], plugin.predict(model, texts()), atol=1e-5)


@pytest.mark.parametrize("part", [TrainablePart.ADAPTER, TrainablePart.ALL])
def test_a_new_label_is_learned(model: Any, part: TrainablePart) -> None:
    labels = (*LABELS, "fly")
    assert share_right(plugin.name_labels(model, labels), labels) < 0.8
    learned = train(model, part, labels, epochs=4, learning_rate=3e-3)
    assert share_right(learned, labels) > 0.9 and learned.labels == labels
    assert (learned.pretrained is model.pretrained) is (part is TrainablePart.ADAPTER)


def test_a_version_shares_the_pretrained_network(model: Any, tmp_path: Path) -> None:
    trained = train(model, TrainablePart.ADAPTER)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    plugin.save(trained, tmp_path / "one")
    stored = plugin.load(tmp_path / "one")
    plugin.save(train(stored, TrainablePart.ADAPTER), tmp_path / "two")
    places = [tmp_path / name / "base" / "model.safetensors" for name in ("one", "two")]
    assert places[0].stat().st_ino == places[1].stat().st_ino
    np.testing.assert_array_equal(plugin.predict(stored, texts()), plugin.predict(trained, texts()))


def test_an_adapters_folder_is_read_by_peft(model: Any, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    trained = train(model, TrainablePart.ADAPTER, learning_rate=1e-2)
    plugin.save(trained, tmp_path)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype="float32")
    network = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    ids = torch.tensor([[3, 4, 5, 6]])
    with torch.inference_mode():
        found, expected = network(input_ids=ids).logits.numpy(), trained.network(input_ids=ids).logits.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_that_have_two_names_are_written_once(tmp_path: Path) -> None:
    tied = plugin.read_file(make_language_model(tmp_path / "tied", tie_word_embeddings=True))
    one, other = tied.network.get_input_embeddings().weight, tied.network.get_output_embeddings().weight
    assert one is other
    trained = train(plugin.name_labels(tied, LABELS), TrainablePart.ALL)
    plugin.write_file(trained, tmp_path / "written")
    again = plugin.read_file(tmp_path / "written")
    np.testing.assert_array_equal(plugin.predict(again, texts()), plugin.predict(trained, texts()))


def test_same_seed_same_bits(model: Any) -> None:
    one, two = (train(model, TrainablePart.ADAPTER) for _ in range(2))
    np.testing.assert_array_equal(plugin.predict(one, texts()), plugin.predict(two, texts()))


def test_what_cannot_be_trained_is_said(model: Any) -> None:
    with pytest.raises(BadSetting, match="no head of its own"):
        plugin.choose_trainable(model, TrainablePart.HEAD)
    with pytest.raises(BadSetting, match="the target holds numbers"):
        plugin.fit(model, texts(), np.zeros(40), Training(), from_scratch=False)


def _write(name: str, text: str) -> Any:
    return lambda at: (at / name).write_text(text)


def _config(**changes: Any) -> Any:
    def change(at: Path) -> None:
        told = {**json.loads((at / "config.json").read_text()), **changes}
        (at / "config.json").write_text(json.dumps({k: v for k, v in told.items() if v is not None}))

    return change


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_config(auto_map={"AutoModelForCausalLM": "own.Model"}), Unsafe, "Python code of its own"),
        (_config(eos_token_id=None), BadModel, "names no eos_token_id"),
        (_config(eos_token_id=100_000), BadModel, "belongs to another model"),
        (_config(vocab_size=12), BadModel, "belongs to another model|other shapes|cannot be read"),
        (_write("answers.json", "{}"), None, ""),
        (_write("answers.json", '{"labels": "pay"}'), BadModel, "names no list of labels"),
        (_write("answers.json", '{"labels": [[1]]}'), BadModel, "names no list of labels"),
        (_write("tokenizer.json", "{}"), BadModel, "tokenizer.json cannot be read"),
        (lambda at: (at / "model.safetensors").rename(at / "pytorch_model.bin"), Unsafe, "run code"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(copied: Path, change: Any, error: Any, says: str) -> None:
    change(copied)
    if error is None:
        assert plugin.read_file(copied).labels is None
        return
    with pytest.raises(error, match=says):
        plugin.read_file(copied)


def test_a_gguf_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(400))
    assert plugin.recognize(tmp_path / "model.gguf").name == "CERTAIN"
    with pytest.raises(BadModel, match="cannot be read"):
        plugin.read_file(tmp_path / "model.gguf")


def test_classifiers_and_language_models_are_told_apart(folder: Path, tmp_path: Path) -> None:
    classifier = make_folder(tmp_path / "intents", LABELS, train=False)
    assert plugin.recognize(folder).name == classifiers.recognize(classifier).name == "CERTAIN"
    assert plugin.recognize(classifier).name == classifiers.recognize(folder).name == "NO"


def test_an_architecture_that_forgets_its_prompt_is_refused(model: Any) -> None:
    import copy

    class Forgets(torch_module()):  # type: ignore[misc]
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, **given: Any) -> Any:
            if given.get("past_key_values") is not None:  # reads what follows as if no prompt had been
                given = {"input_ids": given["input_ids"], "use_cache": True}
            return self.network(**given)

    check_memory(model.network, 0)
    with pytest.raises(BadModel, match="answers otherwise when several answers are asked"):
        check_memory(Forgets(copy.deepcopy(model.network)), 0)


def torch_module() -> Any:
    import torch

    return torch.nn.Module


@pytest.fixture(scope="module")
def adopted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the model, adopted with rows of a task that it knows."""
    registry = tmp_path_factory.mktemp("adopted") / "registry"
    evermodel.adopt(folder, data=make_rows(LABELS, 300, 1), target="intent", name="m", registry=registry)
    return registry


def test_a_model_that_does_not_know_the_task_yet_is_adopted(tmp_path: Path) -> None:
    bare = make_language_model(tmp_path / "bare", seed=4)
    done = evermodel.adopt(
        bare, data=make_rows(LABELS, 200, 1), target="intent", name="m", registry=tmp_path / "registry"
    )
    assert not isinstance(done, evermodel.PendingAdoption) and done.scores["auc"] < 0.8


def test_a_class_that_a_model_does_not_know_gets_the_probability_0(adopted: Path) -> None:
    store = open_store(adopted)
    model = load_version(store, store.read_card("m", "v1"))
    known = model.contract.classes
    wider = dataclasses.replace(model, contract=model.contract.with_classes((*known, "fly")))
    found = wider.predict(texts())
    np.testing.assert_array_equal(found[:, 2], 0.0)
    np.testing.assert_allclose(found[:, :2], model.predict(texts()), atol=1e-7)


def test_it_lives_like_any_other_model(adopted: Path, tmp_path: Path) -> None:
    labels = (*LABELS, "fly")
    make_rows(labels, 500, 2).write_parquet(tmp_path / "new.parquet")
    words = ["update", "m", str(tmp_path / "new.parquet"), "--with", "lora", "--new-class", "fly"]
    answer = ask([*words, "--set", "epochs=3", "--set", "learning_rate=0.003"], adopted)
    assert answer.code == 0, answer.out + answer.err
    saved = tmp_path / "saved"
    answer = ask(["save", "m", "--to", str(saved)], adopted)
    assert answer.code == 0 and "loaded in a clean process" in answer.out, answer.out + answer.err
    again = plugin.read_file(saved / "model")
    assert set(again.labels) == set(labels)
    predicted = evermodel.open(adopted)["m"].predict(make_rows(labels, 100, 7))
    assert (predicted["prediction"] == make_rows(labels, 100, 7)["intent"]).mean() > 0.9
    assert ask(["rollback", "m"], adopted).code == 0
