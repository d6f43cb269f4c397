"""Folders of Hugging Face transformers that were made to do harm, each a small change of one that is whole."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Change = Callable[[Path], None]
WEIGHTS = "model.safetensors"


def read_header(at: Path) -> tuple[dict[str, Any], bytes]:
    data = at.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(at: Path, text: bytes, body: bytes) -> None:
    at.write_bytes(struct.pack("<Q", len(text)) + text + body)


def header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Another header of the same bytes."""

    def spoil(folder: Path) -> None:
        told, body = read_header(folder / WEIGHTS)
        change(told)
        write_header(folder / WEIGHTS, json.dumps(told).encode(), body)

    return spoil


def first(**fields: Any) -> Change:
    """Another entry of the first tensor."""

    def change(told: dict[str, Any]) -> None:
        name = next(n for n in told if n != "__metadata__")
        told[name] = {**told[name], **fields}

    return header(change)


def raw_header(text: bytes) -> Change:
    return lambda folder: write_header(folder / WEIGHTS, text, b"\0" * 64)


def config(**fields: Any) -> Change:
    def spoil(folder: Path) -> None:
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**told, **fields}))

    return spoil


def put(name: str, data: bytes) -> Change:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(data)

    return spoil


def link(name: str, to: str) -> Change:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(to)

    return spoil


def pipe(name: str) -> Change:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


def sparse(name: str, size: int) -> Change:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        with (folder / name).open("wb") as file:
            file.truncate(size)

    return spoil


def index(placed: object) -> Change:
    def spoil(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "one.safetensors")
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": placed}))

    return spoil


def vocabulary(**fields: Any) -> Change:
    def spoil(folder: Path) -> None:
        told = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps({**told, **fields}))

    return spoil


def adapter_of(base: str) -> Change:
    """A PEFT adapter that names another model, here one outside or on a hub."""

    def spoil(folder: Path) -> None:
        (folder / "config.json").unlink()
        (folder / WEIGHTS).rename(folder / "adapter_model.safetensors")
        told = {"base_model_name_or_path": base, "peft_type": "LORA", "auto_mapping": {"parent_library": "os"}}
        (folder / "adapter_config.json").write_text(json.dumps(told))

    return spoil


DEEP = b"[" * 200_000
HEADERS: dict[str, Change] = {
    "a shape of a trillion": first(shape=[1_000_000, 1_000_000]),
    "a shape that overflows": first(shape=[2**32, 2**32, 2**32], data_offsets=[0, 0]),
    "a shape of a hundred thousand widths": first(shape=[1] * 100_000),
    "a shape of huge widths": first(shape=[10**4000] * 3000),
    "an infinite shape": first(shape=[float("inf")]),
    "a shape of reals": first(shape=[1.5]),
    "a shape of truths": first(shape=[True, True]),
    "a negative shape": first(shape=[-4, -8]),
    "offsets that go back": first(data_offsets=[64, 0]),
    "offsets beyond the file": first(data_offsets=[0, 2**62]),
    "three offsets": first(data_offsets=[0, 1, 2]),
    "a type that is code": first(dtype="__import__('os')"),
    "an entry that is a list": header(lambda told: told.update(x=[1])),
    "texts that are a list": header(lambda told: told.update(__metadata__=[1, 2])),
    "texts that are a number": header(lambda told: told.update(__metadata__=7)),
    "a header that is nested": raw_header(b'{"a":' + DEEP),
    "a header of noise": raw_header(b"\xff\xfe" * 50),
    "a header that is a list": raw_header(b"[1]"),
    "a header longer than the file": put(WEIGHTS, struct.pack("<Q", 2**63) + b"{}"),
    "8 GB of zeros": sparse(WEIGHTS, 8 << 30),
    "shards outside": index({"a": "../../../../etc/passwd"}),
    "a shard that is absolute": index({"a": "/etc/passwd"}),
    "shards that are not there": index({f"t{i}": f"s{i}.safetensors" for i in range(10_000)}),
    "an index that is nested": lambda folder: (
        index({})(folder),
        (folder / f"{WEIGHTS}.index.json").write_bytes(DEEP),
    )[0],
    "an index that is a list": index([1]),
    "weights that are a pipe": pipe(WEIGHTS),
    "a configuration that is a pipe": pipe("config.json"),
    "a configuration of 8 GB": sparse("config.json", 8 << 30),
    "a configuration that is a device": link("config.json", "/dev/zero"),
}
FOLDERS: dict[str, Change] = {  # what only the reader of the network itself meets
    "an adapter of another base": adapter_of("/etc"),
    "an adapter of a model on a hub": adapter_of("somebody/model"),
    "a layer of a trillion": config(hidden_size=1_000_000, intermediate_size=1_000_000),
    "a million layers": config(num_hidden_layers=1_000_000),
    "a vocabulary of a trillion": config(vocab_size=10**12),
    "positions of a trillion": config(max_position_embeddings=10**12),
    "heads that are none": config(num_attention_heads=0),
    "sizes that are texts": config(hidden_size="os.system"),
    "an activation that is code": config(hidden_act="__import__('os').system('touch OWNED')"),
    "quantization by a module": config(quantization_config={"quant_method": "os.system"}),
    "code by its name": config(auto_map={"AutoConfig": "configuration.Evil"}),
    "a model type that is a path": config(model_type="../../evil"),
    "a padding that is a text": config(pad_token_id="x"),  # noqa: S106 - a token of a text
    "labels that are a list": config(id2label=[["a"]]),
    "labels of a million": config(id2label={str(i): str(i) for i in range(1_000_000)}),
    "a tokenizer that is nested": put("tokenizer.json", b'{"model":' + DEEP),
    "a tokenizer of 8 GB": sparse("tokenizer.json", 8 << 30),
    "a tokenizer that is a pipe": pipe("tokenizer.json"),
    "a tokenizer that is code": put("tokenizer.json", b"__import__('os')"),
    "tokens without end": vocabulary(
        normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b" * 1_000_000}
    ),
    "a pattern that never ends": vocabulary(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Removed", "invert": False}
    ),
    "settings of the tokenizer that are a list": put("tokenizer_config.json", b"[1]"),
    "a length that is a table": put("tokenizer_config.json", b'{"model_max_length": {}}'),
}


def write_attacks(whole: Path, to: Path, changes: dict[str, Change]) -> list[Path]:
    """A folder for each change of the whole one."""
    made = []
    for name, change in changes.items():
        at = to / f"text {name}"
        shutil.copytree(whole, at)
        change(at)
        made.append(at)
    return made
