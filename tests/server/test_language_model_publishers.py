"""Language models for vLLM and as GGUF: the readers of both load what is written; a server takes what is posted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import BadModel, BadSetting, NotDelivered
from evermodel.core.publication import Publication
from evermodel.plugins.frameworks import language_models as plugin
from evermodel.plugins.publishers import vllm as publisher
from evermodel.testing.publishers import CHECKS, check_publisher
from tests.cli.ground import ask
from tests.frameworks.tiny_language_model import LABELS, make_language_model
from tests.frameworks.tiny_text_model import make_rows
from tests.server.test_publishers import places, publications

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')
gguf = pytest.importorskip("gguf", reason='needs pip install ".[transformers]"')
TEXTS = make_rows(LABELS, 6, 77).select("text")


def make_byte_model(to: Path) -> Path:
    """A Llama whose tokenizer splits bytes, as GGUF files hold them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["[PAD]", "[END]"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*make_rows(LABELS, 200, 1)["text"].to_list(), *LABELS], trainer)
    make_language_model(to, seed=2, vocab_size=tokenizer.get_vocab_size())
    tokenizer.save(str(to / "tokenizer.json"))
    return to


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with v1, which has no adapter, and v2, which has one. Not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    model, registry = make_byte_model(folder / "model"), folder / "registry"
    evermodel.adopt(model, data=make_rows(LABELS, 60, 1), target="intent", name="m", registry=registry)
    settings = {"epochs": 2, "learning_rate": 0.01}
    done = evermodel.update("m", make_rows(LABELS, 120, 2), strategy="lora", settings=settings, registry=registry)
    assert done.challenger == "v2"
    return registry


@pytest.fixture
def both(adopted: Path, tmp_path: Path) -> tuple[Publication, Publication]:
    return publications(adopted, tmp_path / "files")


def score(folder: Path, adapter: Path | None) -> np.ndarray:
    """What transformers, and PEFT with an adapter, find next after a few tokens."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    network = network if adapter is None else PeftModel.from_pretrained(network, adapter)
    with torch.inference_mode():
        return np.asarray(network.eval()(input_ids=torch.tensor([[5, 9, 3, 17, 40]])).logits.numpy())


def expect(publication: Publication) -> np.ndarray:
    import torch

    with torch.inference_mode():
        ids = torch.tensor([[5, 9, 3, 17, 40]])
        return np.asarray(publication.model.obj.network(input_ids=ids).logits.numpy())


def test_adapters_keep_their_promises(both: tuple[Publication, Publication], tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    weights = {p.version: p.model.obj.trained for p in both}
    name = next(iter(weights["v2"])).rpartition(".lora")[0] + ".lora_B.weight"

    def read(to: str) -> str:
        folder = (Path(to) / "m" / "current").resolve()
        told = json.loads((folder / "adapter_config.json").read_text())
        assert (folder / told["base_model_name_or_path"] / "model.safetensors").is_file()
        found = load_file(folder / "adapter_model.safetensors")[f"base_model.model.{name}"]
        return "v2" if np.array_equal(found, weights["v2"][name].numpy()) else "v1" if not found.any() else "another"

    assert check_publisher("vllm", both, read, places(tmp_path)) == len(CHECKS)


def test_an_adapter_answers_as_its_version(both: tuple[Publication, Publication], tmp_path: Path) -> None:
    bases = set()
    for publication in both:
        adapter = Path(publisher.vllm(publication, str(tmp_path)))
        told = json.loads((adapter / "adapter_config.json").read_text())
        assert told["peft_type"] == "LORA" and not told["modules_to_save"] and told["r"] <= 8
        base = (adapter / told["base_model_name_or_path"]).resolve()
        bases.add(base)
        np.testing.assert_allclose(score(base, adapter), expect(publication), atol=1e-4)
    assert len(bases) == 1, "the versions do not share the network"
    assert {p.name for p in (tmp_path / "m").iterdir()} == {"v1", "v2", "current", base.name}


class Server(BaseHTTPRequestHandler):
    """vLLM's endpoints for adapters, as they are documented; ``old``: it replaces nothing in place."""

    adapters: dict[str, str]
    asked: list[tuple[str, Any]]
    old = False
    closed = False

    def do_GET(self) -> None:
        base = {"id": "base", "object": "model", "root": "base", "parent": None}
        cards = [{"id": name, "root": at, "parent": "base"} for name, at in self.adapters.items()]
        self.answer(200 if self.path == "/v1/models" else 404, {"object": "list", "data": [base, *cards]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/json"
        self.asked.append((self.path, body))
        name = body.get("lora_name")
        if self.closed:
            self.answer(404, {"detail": "Not Found"})
        elif self.path == "/v1/load_lora_adapter":
            unknown = set(body) - {"lora_name", "lora_path", "load_inplace"}
            whole = not unknown and (Path(body["lora_path"]) / "adapter_config.json").is_file()
            if not whole:
                self.answer(404, {"error": {"message": "No adapter found", "type": "NotFoundError", "code": 404}})
            elif name in self.adapters and (self.old or not body.get("load_inplace")):
                told = f"The lora adapter '{name}' has already been loaded."
                self.answer(400, {"error": {"message": told, "type": "InvalidUserInput", "code": 400}})
            else:
                self.adapters[name] = body["lora_path"]
                self.answer(200, f"Success: LoRA adapter '{name}' added successfully.")
        elif self.path == "/v1/unload_lora_adapter" and set(body) == {"lora_name"}:
            self.adapters.pop(name)
            self.answer(200, f"Success: LoRA adapter '{name}' removed successfully.")
        else:
            self.answer(404, {})

    def answer(self, status: int, body: Any) -> None:
        told = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    handler = type("Handler", (Server,), {"adapters": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("old", [False, True])
def test_a_running_server_is_told(
    both: tuple[Publication, Publication], server: tuple[str, type[Server]], tmp_path: Path, old: bool
) -> None:
    url, handler = server
    handler.old = old
    to = f"{tmp_path}@{url}"
    assert publisher.find_published("m", to) == ""
    for publication in (both[0], both[1], both[1], both[0]):
        at = publisher.vllm(publication, to)
        assert handler.adapters == {"m": at} and publisher.find_published("m", to) == publication.version
    path, body = handler.asked[0]
    assert path == "/v1/load_lora_adapter" and body == {"lora_name": "m", "lora_path": str(tmp_path / "m" / "v1")}
    assert handler.asked[1][1]["load_inplace"] is True
    assert [p for p, _ in handler.asked].count("/v1/unload_lora_adapter") == (2 if old else 0)


def test_what_a_server_refuses_is_said(
    both: tuple[Publication, Publication], server: tuple[str, type[Server]], tmp_path: Path
) -> None:
    url, handler = server
    publisher.vllm(both[0], f"{tmp_path}@{url}")
    handler.closed = True
    with pytest.raises(NotDelivered, match="takes no adapters while it runs"):
        publisher.vllm(both[1], f"{tmp_path}@{url}")
    assert publisher.find_published("m", str(tmp_path)) == "v1", "the link moved though the server refused"
    with pytest.raises(NotDelivered, match="cannot be reached"):
        publisher.find_published("m", f"{tmp_path}@http://127.0.0.1:9")
    with pytest.raises(BadSetting, match="vllm:DIR@URL"):
        publisher.find_published("m", url)


def test_a_file_keeps_its_promises(both: tuple[Publication, Publication], tmp_path: Path) -> None:
    known = {}
    for publication in both:
        weight = publication.model.obj.network.get_submodule("model.layers.0.mlp.up_proj").weight
        known[publication.version] = weight.detach().numpy().astype(np.float16)

    def read(to: str) -> str:
        found = next(t for t in gguf.GGUFReader(to).tensors if t.name == "blk.0.ffn_up.weight").data
        return next((version for version, values in known.items() if np.array_equal(found, values)), "another")

    new_place = places(tmp_path)
    assert check_publisher("gguf", both, read, lambda: new_place().with_suffix(".gguf")) == len(CHECKS)


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_answers_as_its_version(adopted: Path, tmp_path: Path, number: int) -> None:
    version, file = f"v{number + 1}", tmp_path / "written" / "m.gguf"
    answer = ask(["publish", "m", "--to", f"gguf:{file}", "--version", version, "--no-proof"], adopted)
    assert answer.code == 0 and str(file) in answer.out, answer.out + answer.err
    found = plugin.read_file(file)
    expected = evermodel.predict("m", TEXTS, version=version, registry=adopted)
    again = tmp_path / "registry"
    rows = make_rows(LABELS, 60, 5)
    evermodel.adopt(file, data=rows, target="intent", name="m", registry=again)
    answers = evermodel.predict("m", TEXTS, registry=again)
    columns = [name for name in expected.columns if name.startswith("p_")]
    np.testing.assert_allclose(answers.select(columns).to_numpy(), expected.select(columns).to_numpy(), atol=0.02)
    assert found.end == 1


def test_a_changed_gguf_file_is_refused_in_one_sentence_or_read(tmp_path: Path) -> None:
    """The reader of transformers ends in errors of struct, of numpy or of Python's integers, each with a traceback."""
    model = plugin.read_file(make_byte_model(tmp_path / "model"))
    plugin.write_gguf(model, tmp_path / "whole.gguf", "")
    whole, draw = (tmp_path / "whole.gguf").read_bytes(), np.random.default_rng(0)
    assert plugin.read_file(tmp_path / "whole.gguf") is not None
    changed = tmp_path / "changed.gguf"
    refused = 0
    for number in range(30):
        data = bytearray(whole)
        if number < 5:
            del data[int(draw.integers(24, len(data))) :]
        else:  # counts, lengths and types at the beginning, where the file is described
            at = int(draw.integers(4, 600))
            data[at : at + 4] = draw.bytes(4)
        changed.write_bytes(data)
        try:
            plugin.read_file(changed)
        except BadModel as error:
            refused += 1
            assert "\n" not in error.message and len(error.message) < 600
    assert refused >= 15


def test_what_gguf_cannot_hold_is_refused(tmp_path: Path) -> None:
    words = plugin.read_file(make_language_model(tmp_path / "words"))
    with pytest.raises(BadModel, match="no name for how this tokenizer splits"):
        plugin.write_gguf(words, tmp_path / "words.gguf", "")
    rows = pl.DataFrame({"a": [0.0, 1.0] * 40, "y": ["n", "y"] * 40})
    sklearn = pytest.importorskip("sklearn.linear_model", reason='needs pip install ".[sklearn]"')
    model = sklearn.LogisticRegression().fit(rows.select("a").to_numpy(), rows["y"].to_numpy())
    registry = tmp_path / "registry"
    evermodel.adopt(model, data=rows, target="y", name="a", registry=registry)
    for to in (f"gguf:{tmp_path / 'a.gguf'}", f"vllm:{tmp_path / 'a'}"):
        answer = ask(["publish", "a", "--to", to, "--no-proof"], registry)
        assert answer.code == 2 and "language models" in answer.err, answer.out + answer.err
    assert not (tmp_path / "a.gguf").exists()
