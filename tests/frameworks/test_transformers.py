"""Text classifiers of transformers: what only this framework has. The checks common to all are elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadData, BadModel, BadSetting, Unsafe
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks import transformers as plugin
from tests.cli.ground import ask
from tests.frameworks.tiny_text_model import make_folder, make_rows

pytest.importorskip("transformers")
INTENTS = ("pay", "cook")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier of two intents; no test writes to it."""
    return make_folder(tmp_path_factory.mktemp("deployed") / "intents", INTENTS)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return plugin.read_file(folder)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "intents"))


def texts(n: int = 40, seed: int = 5) -> pl.DataFrame:
    return make_rows(INTENTS, n, seed).select("text")


def train(model: Any, part: TrainablePart, rank: int | None = None, **changes: Any) -> Any:
    rows = make_rows(INTENTS, 64, 9)
    y = (rows["intent"] == "cook").to_numpy().astype(np.int64)
    told = Training(**{"classes": INTENTS, "epochs": 1, "seed": 3, **changes})
    return plugin.fit(plugin.choose_trainable(model, part, rank=rank), rows.select("text"), y, told, from_scratch=False)


def test_it_answers_as_transformers_itself_does(folder: Path, model: Any) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [*texts(30)["text"].to_list(), "", "words that nobody knows", " ".join(["money"] * 90)]
    given = AutoTokenizer.from_pretrained(folder)(rows, truncation=True, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = network(given["input_ids"], attention_mask=given["attention_mask"]).logits.numpy()
    np.testing.assert_allclose(plugin.predict(model, pl.DataFrame({"text": rows})), expected, atol=1e-5)


def test_a_missing_text_is_an_empty_one(model: Any) -> None:
    one, two = plugin.predict(model, pl.DataFrame({"text": [None, ""]}, schema={"text": pl.String}))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(BadData, match="reads one text"):
        plugin.predict(model, texts().with_columns(other=pl.col("text")))


@pytest.mark.parametrize("part", list(TrainablePart))
def test_a_training_changes_its_part_alone(model: Any, part: TrainablePart) -> None:
    before, after = model.network.state_dict(), train(model, part).network.state_dict()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    layers = {name for name in changed if "encoder" in name}
    assert any(name.startswith("classifier") for name in changed)
    assert bool(layers) is (part is not TrainablePart.HEAD)
    assert any("LayerNorm" in name or "embeddings" in name for name in changed) is (part is TrainablePart.ALL)


def test_the_pretrained_network_stays_beside_an_adapter(model: Any) -> None:
    trained = train(model, TrainablePart.ADAPTER)
    assert trained.pretrained is model.pretrained and trained.files == model.files
    again = train(trained, TrainablePart.ADAPTER, rank=12)
    widths = {min(tensor.shape) for name, tensor in again.trained.items() if "lora" in name}
    assert widths == {12}
    with pytest.raises(BadSetting, match="a smaller one would change what it answers"):
        train(again, TrainablePart.ADAPTER, rank=4)


def test_a_higher_rank_changes_no_answer(model: Any) -> None:
    trained = train(model, TrainablePart.ADAPTER)
    wider = train(trained, TrainablePart.ADAPTER, rank=16, learning_rate=0.0)
    np.testing.assert_allclose(plugin.predict(trained, texts()), plugin.predict(wider, texts()), atol=1e-6)


def test_an_adapters_folder_is_read_by_peft(model: Any, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    trained = train(model, TrainablePart.ADAPTER)
    plugin.save(trained, tmp_path)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    network = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    batch = trained.reader.batch(trained.reader.read(texts()))
    with torch.inference_mode():
        found = network(**batch).logits.numpy()
    np.testing.assert_allclose(found, plugin.predict(trained, texts()), atol=1e-5)


def test_new_labels_start_far_below_the_known(model: Any) -> None:
    wider = plugin.widen(model, inputs=1, outputs=4)
    before, after = plugin.predict(model, texts()), plugin.predict(wider, texts())
    np.testing.assert_allclose(after[:, :2], before, atol=1e-6)
    assert (after[:, 2:] < before.min(axis=1, keepdims=True) - 1).all()
    assert wider.pretrained is model.pretrained and plugin.read_signature(wider).classes is None


@pytest.mark.parametrize("part", [TrainablePart.ADAPTER, TrainablePart.ALL])
def test_a_new_label_is_learned(model: Any, part: TrainablePart) -> None:
    labels = (*INTENTS, "fly")
    rows = make_rows(labels, 240, 4)
    y = rows["intent"].replace_strict({label: code for code, label in enumerate(labels)}).to_numpy()
    wider = plugin.choose_trainable(plugin.widen(model, inputs=1, outputs=3), part)
    told = Training(classes=labels, epochs=10, seed=1, learning_rate=5e-3 if part is TrainablePart.ADAPTER else 1e-3)
    learned = plugin.fit(wider, rows.select("text"), y, told, from_scratch=False)
    right = plugin.predict(learned, rows.select("text")).argmax(axis=1) == y
    assert learned.labels == labels and right[y == 2].mean() > 0.8 and right[y < 2].mean() > 0.8


def _write(name: str, text: str) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        (at / name).write_text(text)

    return change


def _config(**changes: Any) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        told = json.loads((at / "config.json").read_text())
        (at / "config.json").write_text(json.dumps({**told, **changes}))

    return change


def _cut(at: Path) -> None:
    whole = (at / "model.safetensors").read_bytes()
    (at / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _pickle(at: Path) -> None:
    (at / "model.safetensors").rename(at / "pytorch_model.bin")


def _shards(at: Path) -> None:
    (at / "model.safetensors").rename(at / "model-00001-of-00002.safetensors")
    placed = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (at / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))


def _not_a_number(at: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(at / "model.safetensors")
    tensors["classifier.bias"][0] = np.nan
    save_file(tensors, at / "model.safetensors", metadata={"format": "pt"})


def _headless(at: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = {k: v for k, v in load_file(at / "model.safetensors").items() if "classifier" not in k}
    save_file(tensors, at / "model.safetensors", metadata={"format": "pt"})


def _adapter(at: Path) -> None:
    (at / "config.json").rename(at / "adapter_config.json")


BROKEN: list[tuple[Callable[[Path], None], type[BadModel], str]] = [
    (_pickle, Unsafe, "pytorch_model.bin"),
    (_config(auto_map={"AutoModel": "evil.Model"}), Unsafe, "Python code of its own"),
    (_cut, BadModel, "its header says"),
    (_shards, BadModel, "1 of them are missing"),
    (_not_a_number, BadModel, "NaN or infinity"),
    (_headless, BadModel, "they would be random"),
    (_adapter, BadModel, "is an adapter"),
    (_config(architectures=["BertModel"]), BadModel, "no head that classifies texts"),
    (_config(problem_type="multi_label_classification"), BadModel, "several labels to one text"),
    (_config(vocab_size=7), BadModel, "."),
    (_config(id2label={"0": "pay", "1": "pay"}), BadModel, "names a label twice"),
    (_write("tokenizer.json", "{}"), BadModel, "tokenizer.json cannot be read"),
    (lambda at: (at / "tokenizer.json").unlink(), BadModel, "no tokenizer.json"),
    (lambda at: (at / "model.safetensors").unlink(), BadModel, "no weights"),
    (lambda at: (at / "model.safetensors").write_bytes(b"x" * 30), BadModel, "no whole safetensors file"),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_folder_is_refused_in_words(copied: Path, number: int) -> None:
    spoil, kind, says = BROKEN[number]
    spoil(copied)
    with pytest.raises(kind) as error:
        plugin.read_file(copied)
    assert says in error.value.message and "\n" not in error.value.message


def test_a_tokenizer_of_another_model_is_refused(copied: Path) -> None:
    told = json.loads((copied / "tokenizer.json").read_text())
    told["model"]["vocab"] |= {f"word{i}": 100 + i for i in range(50)}
    (copied / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(BadModel, match="belongs to another model"):
        plugin.read_file(copied)


def test_from_adoption_to_rollback_by_the_command_line(folder: Path, tmp_path: Path) -> None:
    registry, rows = tmp_path / "registry", {n: tmp_path / f"{n}.parquet" for n in ("reference", "new")}
    make_rows(INTENTS, 200, 1).write_parquet(rows["reference"])
    make_rows(INTENTS, 300, 2).write_parquet(rows["new"])
    mode = (folder / "model.safetensors").stat().st_mode
    adopted = ask(["adopt", str(folder), "--data", str(rows["reference"]), "--target", "intent"], registry)
    assert adopted.code == 0, adopted.err
    assert "transformers, binary" in adopted.out and "as the file says" in adopted.out
    weights = registry / "versions" / "intents" / "v1" / "model" / "base" / "model.safetensors"
    assert weights.stat().st_ino != (folder / "model.safetensors").stat().st_ino
    assert (folder / "model.safetensors").stat().st_mode == mode
    updated = ask(
        ["update", "intents", str(rows["new"]), "--with", "lora", "--set", "learning_rate=3e-3", "--set", "epochs=3"],
        registry,
    )
    assert updated.code == 0, updated.out + updated.err
    second = registry / "versions" / "intents" / "v2" / "model"
    assert (second / "base" / "model.safetensors").stat().st_ino == weights.stat().st_ino
    assert (second / "adapter" / "adapter_model.safetensors").is_file()
    opened = evermodel.open(str(registry))["intents"]
    assert opened.champion.name == "v2"
    answers = opened.predict(texts(20))
    assert set(answers["prediction"]) <= set(INTENTS)
    saved = ask(["save", "intents", "--to", str(tmp_path / "out")], registry)
    assert saved.code == 0 and "answers 16 rows as the version does" in saved.out, saved.out + saved.err
    read = plugin.read_file(tmp_path / "out" / "model")
    assert read.labels == INTENTS and not read.trained
    assert ask(["rollback", "intents"], registry).code == 0
    assert evermodel.open(str(registry))["intents"].champion.name == "v1"


def test_a_folder_is_adopted_and_updated_in_one_command(copied: Path, tmp_path: Path) -> None:
    make_rows(INTENTS, 400, 3).write_parquet(tmp_path / "new.parquet")
    told = ["--target", "intent", "--with", "head", "--set", "epochs=1", "--dry-run"]
    updated = ask(["update", str(copied), str(tmp_path / "new.parquet"), *told], tmp_path / "registry")
    assert updated.code in (0, 10, 11), updated.err
    assert "intents" in updated.out and not list((tmp_path / "registry").rglob("*.safetensors"))


def test_the_command_line_refuses_a_pickle_and_writes_nothing(copied: Path, tmp_path: Path) -> None:
    _pickle(copied)
    make_rows(INTENTS, 50).write_parquet(tmp_path / "rows.parquet")
    asked = ["adopt", str(copied), "--data", str(tmp_path / "rows.parquet"), "--target", "intent"]
    answer = ask(asked, tmp_path / "registry")
    assert answer.code == 2 and "can run code" in answer.err and "Traceback" not in answer.err
    assert not list((tmp_path / "registry").rglob("*.safetensors"))
