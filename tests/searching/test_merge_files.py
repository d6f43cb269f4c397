"""Merging model files: the arithmetic of each method, what is refused before a byte is written, and flat memory."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evermodel
from evermodel.core.errors import BadModel, BadSetting, EvermodelError, NotFound, OutOfSpace, Unsafe
from evermodel.core.tensors.model_weights import read_model_weights
from evermodel.core.tensors.tensor_file import encode_header
from evermodel.searching.merge import merged_folder
from evermodel.searching.merge.float_parts import PART, from_float32, to_float32
from evermodel.searching.merge.merge_methods import LargestChanges
from tests.cli.ground import ask

SHAPES = {"embed_tokens.weight": (13, 8), "layer.weight": (8, 8), "layer.bias": (8,), "places": (5,)}
CONFIG = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}}
TOKENIZER = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": []}


def make_tensors(seed: int, base: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    found = {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    if base is not None:
        found = {name: base[name] + 0.1 * value for name, value in found.items()}
    found["places"] = np.arange(5, dtype=np.int64)
    return found


def write(folder: Path, tensors: dict[str, np.ndarray], dtype: str = "F32", shards: int = 1) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    names, placed = sorted(tensors), {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        mine = names[shard::shards]
        kinds = {n: ("I64" if tensors[n].dtype == np.int64 else dtype, tensors[n].shape) for n in mine}
        parts = [
            tensors[n].tobytes() if kinds[n][0] == "I64" else bytes(from_float32(tensors[n].reshape(-1), dtype))
            for n in mine
        ]
        (folder / file).write_bytes(encode_header(kinds, {"format": "pt"}) + b"".join(parts))
        placed |= dict.fromkeys(mine, file)
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return folder


def read(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for name, tensor in read_model_weights(folder).tensors.items():
        raw = bytearray(tensor.file.read_bytes()[tensor.start : tensor.stop])
        found[name] = np.frombuffer(raw, np.int64) if tensor.dtype == "I64" else to_float32(raw, tensor.dtype)
    return found


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """A base and two models trained from it."""
    base = make_tensors(0)
    made = {"base": base, "one": make_tensors(1, base), "other": make_tensors(2, base)}
    return [write(tmp_path / name, tensors) for name, tensors in made.items()]


def change(models: list[Path], which: int, name: str) -> np.ndarray:
    return read(models[which])[name] - read(models[0])[name]


def test_linear_is_the_weighted_mean(models: list[Path], tmp_path: Path) -> None:
    result = evermodel.merge_files(models[1:], to=tmp_path / "out", weights=[3, 1])
    merged, one, other = read(tmp_path / "out"), read(models[1]), read(models[2])
    for name in SHAPES:
        expected = one[name] if name == "places" else 0.75 * one[name] + 0.25 * other[name]
        np.testing.assert_allclose(merged[name], expected, atol=1e-6)
    assert result.parameters == 13 * 8 + 8 * 8 + 8 + 5
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == CONFIG
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_slerp_keeps_the_length(models: list[Path], tmp_path: Path) -> None:
    far = write(tmp_path / "far", make_tensors(7))
    evermodel.merge_files([models[1], far], to=tmp_path / "out", method="slerp", weights=[1, 1])
    a, b, found = (read(f)["layer.weight"].astype(np.float64) for f in (models[1], far, tmp_path / "out"))
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    np.testing.assert_allclose(found, (np.sin(angle / 2) / np.sin(angle)) * (a + b), atol=1e-5)


def test_task_arithmetic_adds_what_was_learnt(models: list[Path], tmp_path: Path) -> None:
    told: dict[str, Any] = {"method": "task_arithmetic", "base": models[0], "settings": {"scale": "0.5"}}
    evermodel.merge_files(models[1:], to=tmp_path / "out", **told)
    for name in ("layer.weight", "layer.bias"):
        expected = read(models[0])[name] + 0.5 * (change(models, 1, name) + change(models, 2, name))
        np.testing.assert_allclose(read(tmp_path / "out")[name], expected, atol=1e-5)


def test_dare_keeps_a_share_and_makes_up_for_it(tmp_path: Path) -> None:
    zeros = {"w": np.zeros(40_000, np.float32)}
    base, one, other = (write(tmp_path / n, {"w": zeros["w"] + v}) for n, v in (("base", 0), ("one", 1), ("other", 1)))
    told: dict[str, Any] = {"method": "dare", "base": base, "weights": [0.5, 0.5], "settings": {"density": 0.25}}
    evermodel.merge_files([one, other], to=tmp_path / "out", **told)
    found = read(tmp_path / "out")["w"]
    assert set(np.unique(found)) == {0.0, 2.0, 4.0} and abs(found.mean() - 1.0) < 0.03
    evermodel.merge_files([one, other], to=tmp_path / "again", **told)
    np.testing.assert_array_equal(found, read(tmp_path / "again")["w"])
    evermodel.merge_files([one, other], to=tmp_path / "another", seed=5, **told)
    assert not np.array_equal(found, read(tmp_path / "another")["w"])


def test_ties_keeps_the_largest_changes_that_agree(models: list[Path], tmp_path: Path) -> None:
    told: dict[str, Any] = {"method": "ties", "base": models[0], "settings": {"density": 0.4, "scale": 0.7}}
    evermodel.merge_files(models[1:], to=tmp_path / "out", **told)
    for name in ("embed_tokens.weight", "layer.weight"):
        kept = []
        for which in (1, 2):
            delta = change(models, which, name)
            smallest = np.sort(np.abs(delta))[-round(0.4 * len(delta))]
            kept.append(np.where(np.abs(delta) >= smallest, delta, 0))
        total = np.sum(kept, axis=0)
        agrees = [np.sign(k) * np.sign(total) > 0 for k in kept]
        merged = sum(k * a for k, a in zip(kept, agrees, strict=True)) / np.maximum(np.sum(agrees, axis=0), 1)
        expected = read(models[0])[name] + 0.7 * merged
        np.testing.assert_allclose(read(tmp_path / "out")[name], expected, atol=1e-5)


@pytest.mark.parametrize("keep", [1, 7, 500, 999, 1000])
def test_exactly_as_many_as_asked_are_kept_whatever_is_equal(keep: int) -> None:
    random = np.random.default_rng(keep)
    values = random.integers(-9, 10, 1000).astype(np.float32)
    values[values == 0] = 1
    parts = np.array_split(values, 7)
    cut = LargestChanges(lambda: iter(parts), keep)
    trimmed = [part.copy() for part in parts]
    for part in trimmed:
        cut.trim(part)
    kept = np.concatenate(trimmed)
    assert np.count_nonzero(kept) == keep
    assert np.abs(kept[kept != 0]).min() >= np.abs(values[kept == 0]).max(initial=0)


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_types_go_in_and_out_as_torch_rounds_them(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=4000).astype(np.float32) * 100
    kind = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}[dtype]
    rounded = torch.from_numpy(values).to(kind)
    np.testing.assert_array_equal(to_float32(bytearray(from_float32(values, dtype)), dtype), rounded.float().numpy())


def test_files_with_an_index_are_merged_file_by_file(tmp_path: Path) -> None:
    one, other = (write(tmp_path / str(seed), make_tensors(seed), "BF16", shards=3) for seed in (1, 2))
    whole = write(tmp_path / "whole", make_tensors(2), "F32")
    for second in (other, whole):  # the second one's files and types may be others
        out = tmp_path / f"of {second.name}"
        evermodel.merge_files([one, second], to=out)
        assert sorted(p.name for p in out.glob("*.safetensors")) == sorted(p.name for p in one.glob("*.safetensors"))
        assert {t.dtype for t in read_model_weights(out).tensors.values()} == {"BF16", "I64"}


def test_what_is_written_is_read_by_the_formats_own_library(models: list[Path], tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    evermodel.merge_files(models[1:], to=tmp_path / "out")
    found = numpy.load_file(tmp_path / "out" / "model.safetensors")
    assert {name: tensor.shape for name, tensor in found.items()} == SHAPES


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    size = 24 * PART
    many = [write(tmp_path / f"m{i}", {"w": np.full(size, i, np.float32)}, "BF16") for i in range(3)]
    tracemalloc.start()
    evermodel.merge_files(many[1:], to=tmp_path / "out", method="ties", base=many[0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * PART * 4, f"{peak:,} bytes for a model of {4 * size:,}"


def _json(name: str, **changes: Any) -> Callable[[Path], None]:
    def spoil(at: Path) -> None:
        told = json.loads((at / name).read_text())
        (at / name).write_text(json.dumps({**told, **changes}))

    return spoil


def _tensors(**changes: Any) -> Callable[[Path], None]:
    def spoil(at: Path) -> None:
        tensors = {**make_tensors(2), **{k.replace("__", "."): v for k, v in changes.items()}}
        tensors = {k: v for k, v in tensors.items() if v is not None}
        shutil.rmtree(at)
        write(at, tensors)

    return spoil


def _cut(at: Path) -> None:
    os.truncate(at / "model.safetensors", (at / "model.safetensors").stat().st_size - 9)


def _quantized(at: Path) -> None:
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {"w": ("I8", (4,))}
    (at / "model.safetensors").write_bytes(encode_header(kinds, {}) + b"1234")


def _shards(at: Path) -> None:
    (at / "model.safetensors").unlink()
    placed = {"a": "model-00001-of-00002.safetensors"}
    (at / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))


def _outside(at: Path) -> None:
    (at / "model.safetensors").unlink()
    (at / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../one/model.safetensors"}}))


def _remove(at: Path) -> None:
    shutil.rmtree(at)


def _pickle(at: Path) -> None:
    (at / "model.safetensors").rename(at / "pytorch_model.bin")


def _adapter(at: Path) -> None:
    (at / "model.safetensors").unlink()
    (at / "adapter_config.json").write_text("{}")


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda at: (at / name).write_text(text) and None


SPOILED: list[tuple[Callable[[Path], None], type[EvermodelError], str]] = [
    (_json("config.json", model_type="gpt2"), BadModel, "model_type"),
    (_json("config.json", num_attention_heads=4), BadModel, "num_attention_heads is not there and 4"),
    (_json("config.json", id2label={"0": "b", "1": "a"}), BadModel, "same labels in the same order"),
    (_json("tokenizer.json", model={"vocab": {"a": 1, "b": 0}}), BadModel, "tokenizers of one and other differ"),
    (_json("tokenizer.json", added_tokens=[{"id": 9, "content": "<x>"}]), BadModel, "tokenizers of one and other"),
    (_json("tokenizer_config.json", chat_template="{{ other }}"), BadModel, "chat templates"),
    (_text("config.json", "{"), BadModel, "config.json of other cannot be read"),
    (_tensors(embed_tokens__weight=np.zeros((14, 8), np.float32)), BadModel, "vocabularies are of different sizes"),
    (_tensors(layer__weight=np.zeros((8, 9), np.float32)), BadModel, "has the shape [8, 8] in one and [8, 9]"),
    (_tensors(layer__bias=None), BadModel, "1 are in one alone, such as 'layer.bias'"),
    (_tensors(more=np.zeros(3, np.float32)), BadModel, "1 are in one alone, such as 'more'"),
    (_tensors(places=np.arange(1, 6)), BadModel, "whole numbers that differ"),
    (_tensors(layer__bias=np.full(8, np.nan, np.float32)), BadModel, "NaN or infinity"),
    (_cut, BadModel, "and its header says"),
    (lambda at: (at / "model.safetensors").write_bytes(b""), BadModel, "no whole safetensors file"),
    (lambda at: (at / "model.safetensors").write_bytes(b"\x10" + b"\0" * 7 + b"{" * 16), BadModel, "cannot be read"),
    (_quantized, BadModel, "."),
    (_shards, BadModel, "1 of them are missing"),
    (_outside, BadModel, "no safetensors file beside it"),
    (_pickle, Unsafe, "pytorch_model.bin"),
    (_adapter, BadModel, "is an adapter"),
    (_remove, NotFound, "There is no model"),
]


@pytest.mark.parametrize("number", range(len(SPOILED)))
def test_what_does_not_fit_is_refused_and_nothing_is_left(number: int, models: list[Path], tmp_path: Path) -> None:
    spoil, kind, says = SPOILED[number]
    spoil(models[2])
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(kind) as error:
        evermodel.merge_files(models[1:], to=tmp_path / "out")
    assert says in error.value.message and "\n" not in error.value.message
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_requests_that_make_no_sense_are_refused(models: list[Path], tmp_path: Path) -> None:
    out, (base, one, other) = tmp_path / "out", models
    asked: list[tuple[dict[str, Any], str]] = [
        ({"models": [one, one]}, "is given twice"),
        ({"models": [one]}, "at least two models"),
        ({"models": [one, other, base], "method": "slerp"}, "two models"),
        ({"method": "average"}, "Files are merged by linear"),
        ({"method": "ties"}, "needs the model that the others were trained from"),
        ({"base": base}, "linear takes no base"),
        ({"weights": [1]}, "has 1 numbers for 2 models"),
        ({"weights": [1, -1]}, "must add up to more than 0"),
        ({"weights": [float("nan"), 1]}, "must be numbers"),
        ({"settings": {"density": 1}}, "has no setting"),
        ({"method": "ties", "base": base, "settings": {"density": 2}}, "density must be in"),
        ({"to": one}, "exists already"),
        ({"to": one / "inside"}, "which is merged"),
    ]
    for changes, says in asked:
        told: dict[str, Any] = {"models": [one, other], "to": out, **changes}
        with pytest.raises((BadSetting, BadModel)) as error:
            evermodel.merge_files(told.pop("models"), **told)
        assert says in error.value.message
    assert not out.exists()


def test_a_full_disk_is_noticed_before_the_first_byte(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_folder, "SPARE", 1 << 62)
    with pytest.raises(OutOfSpace, match="GB are free"):
        evermodel.merge_files(models[1:], to=tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "one", "other"]


def test_the_command_line_merges_and_says_what_it_did(models: list[Path], tmp_path: Path) -> None:
    out, names = tmp_path / "out", [str(model) for model in models]
    answer = ask(["fuse", "--files", *names[1:], "--with", "linear", "--weights", "3,1", "--to", str(out)], None)
    assert answer.code == 0, answer.err
    assert "merged 2 models by linear" in answer.out and (out / "model.safetensors").is_file()
    told = ["--with", "ties", "--base", names[0], "--set", "density=0.3"]
    again = ask(["fuse", "--files", *names[1:], *told, "--to", str(tmp_path / "two")], None)
    assert again.code == 0, again.err
    refused = {
        ("--to", str(out)): "exists already",
        (): "needs --to",
        ("--to", str(tmp_path / "three"), "--metric", "auc"): "is for versions of a model",
        ("--to", str(tmp_path / "three"), "--weights", "a,b"): "must be numbers",
    }
    for words, says in refused.items():
        wrong = ask(["fuse", "--files", *names[1:], *words], None)
        assert wrong.code == 2 and says in wrong.err and "Traceback" not in wrong.err
    alone = ask(["fuse", "churn", "v1", "v2", "--base", names[0]], tmp_path / "registry")
    assert alone.code == 2 and "is for --files" in alone.err
