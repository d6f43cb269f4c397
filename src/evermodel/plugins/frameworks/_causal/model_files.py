"""A language model's files: a stranger's folder or GGUF file, the folder of a version, the folder for transformers."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, MissingExtra
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.tensors.model_weights import SINGLE, read_model_weights
from evermodel.plugins.frameworks._causal.answer_scores import check_memory
from evermodel.plugins.frameworks._causal.language_model import SEPARATOR, LanguageModel, Writing
from evermodel.plugins.frameworks._transformers.folder_check import (
    CONFIG,
    TOKENIZER,
    read_checked_config,
    read_json,
    read_tokenizer,
)
from evermodel.plugins.frameworks._transformers.low_rank import A as LORA_A
from evermodel.plugins.frameworks._transformers.low_rank import adapter_config, empty_adapter
from evermodel.plugins.frameworks._transformers.network_files import (
    ADAPTER,
    import_transformers,
    read_adapter,
    read_network,
    refuse_broken,
    share_weights,
    write_adapter,
    write_tokenizer,
    write_weights,
    write_whole_folder,
)

BASE, TOLD = "base", "language_model.json"
ANSWERS = "answers.json"  # beside what transformers reads: the labels and how they are asked for
AUTO_CLASS = "AutoModelForCausalLM"
GGUF = b"GGUF"


def is_gguf(path: Path) -> bool:
    """By the first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF)) == GGUF
    except OSError:
        return False


def read_folder(path: Path) -> LanguageModel:
    """The language model of a stranger's folder. Raises BadModel or Unsafe; nothing in it is executed."""
    config = read_checked_config(path, language_model=True)
    network = read_network(path, AUTO_CLASS, use_safetensors=True)
    asked = read_json(path / ANSWERS) if (path / ANSWERS).is_file() else {}
    labels = asked.get("labels")
    if labels is not None and not (isinstance(labels, list) and all(type(x) in (str, int, bool) for x in labels)):
        raise BadModel(f"{ANSWERS} names no list of labels.", "Copy the folder again.")
    files = read_model_weights(path).paths
    found = LanguageModel(
        config, read_tokenizer(path), network, files, labels=None if labels is None else tuple(labels)
    )
    return _check(dataclasses.replace(found, writing=_read_writing(asked.get("writing"))))


def _read_writing(told: Any) -> Writing | None:
    """How a folder that this program wrote says that its model answers with free text. Raises BadModel."""
    if told is None:
        return None
    kinds = {"most_tokens": int, "separator": str, "chat": bool}
    if not isinstance(told, dict) or {name: type(value) for name, value in told.items()} != kinds:
        raise BadModel(f"{ANSWERS} does not say how the model answers with free text.", "Copy the folder again.")
    if told["most_tokens"] < 1:
        raise BadModel(f"{ANSWERS} says that an answer has {told['most_tokens']} tokens at most.", "Write 1 or more.")
    return Writing(**told)


def read_gguf(path: Path) -> LanguageModel:
    """The language model of a GGUF file, its weights as 32-bit numbers, whatever they are stored in."""
    if importlib.util.find_spec("gguf") is None:  # transformers reads the file by it
        raise MissingExtra.for_package("gguf", "transformers", "Reading a GGUF file")
    transformers = import_transformers()
    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own, which goes into pipes too
        network = read_network(path.parent, AUTO_CLASS, gguf_file=path.name)
    with refuse_broken(f"The tokenizer in {path.name}"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )
        told = json.loads(tokenizer.backend_tokenizer.to_str())
    config = json.loads(network.config.to_json_string(use_diff=False))
    config = {k: v for k, v in config.items() if k not in ("quantization_config", "_name_or_path")}
    config["architectures"] = [type(network).__name__]
    size = int(config["vocab_size"])  # transformers adds a token that the file may not have, and no weights are for
    told["added_tokens"] = [token for token in told["added_tokens"] if token["id"] < size]
    named = {
        "eos_token": tokenizer.eos_token,
        "pad_token": tokenizer.pad_token,
        "bos_token": tokenizer.bos_token,
        "chat_template": tokenizer.chat_template,
    }
    files = {
        TOKENIZER: json.dumps(told, ensure_ascii=False).encode(),
        "tokenizer_config.json": json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", **{k: str(v) for k, v in named.items() if v is not None}}
        ).encode(),
    }
    return _check(LanguageModel(config, files, network))


def save(model: LanguageModel, to: Path) -> None:
    """The pretrained network as a folder of its own, and beside it the adapter as a folder that PEFT reads."""
    write_base(model, to / BASE)
    (to / TOLD).write_text(model.to_json())
    if model.trained:
        write_adapter_folder(model, to / ADAPTER, f"../{BASE}")


def write_base(model: LanguageModel, to: Path) -> None:
    """The pretrained network as a new folder that transformers reads; files of another version are shared."""
    to.mkdir()
    (to / CONFIG).write_text(json.dumps(dict(model.config), indent=1))
    write_tokenizer(model.tokenizer, to)
    share_weights(model.files, model.files_are_kept, model.pretrained, to)


def write_adapter_folder(model: LanguageModel, to: Path, base: str) -> None:
    """The adapter as a new folder that PEFT reads; without one, one that changes nothing."""
    trained = model.trained or empty_adapter(model.pretrained)
    to.mkdir()
    rank = next(len(tensor) for name, tensor in trained.items() if name.endswith(LORA_A))
    told = adapter_config(model.pretrained, rank, base, "CAUSAL_LM")
    (to / "adapter_config.json").write_text(json.dumps(told, indent=1))
    write_adapter(trained, to)


def load(at: Path) -> LanguageModel:
    """The language model of a version's folder."""
    base, told = at / BASE, json.loads((at / TOLD).read_text())
    return LanguageModel(
        read_json(base / CONFIG),
        read_tokenizer(base),
        read_network(base, AUTO_CLASS, use_safetensors=True),
        read_model_weights(base).paths,
        True,
        read_adapter(at),
        None if told["labels"] is None else tuple(told["labels"]),
        TrainablePart(told["part"]),
        int(told["rank"]),
        bool(told.get("packed")),  # versions before did not say
        None if told.get("writing") is None else Writing(**told["writing"]),
    )


def write_folder(model: LanguageModel, to: Path) -> None:
    """Everything as transformers reads it, the adapter added to the weights; the folder is old or new, never half."""
    with write_whole_folder(to) as staged:
        (staged / CONFIG).write_text(json.dumps(dict(model.config), indent=1))
        write_tokenizer(model.tokenizer, staged)
        write_weights(model.network, staged / SINGLE)
        asked: dict[str, Any] = {"labels": list(model.labels or ()), "separator": SEPARATOR, "end": model.end}
        if model.writing is not None:
            asked = {"writing": dataclasses.asdict(model.writing), "end": model.end}
            generating = {
                "eos_token_id": list(model.ends),
                "pad_token_id": model.tokens.padding,
                "max_new_tokens": model.writing.most_tokens,
                "do_sample": False,
            }
            (staged / "generation_config.json").write_text(json.dumps(generating, indent=1))
        (staged / ANSWERS).write_text(json.dumps(asked, indent=1))


def _check(model: LanguageModel) -> LanguageModel:
    """Raises BadModel where the tokenizer is another model's, no token ends an answer, or the network is of a kind
    that cannot be asked.
    """
    size = int(model.config.get("vocab_size") or 1 << 60)
    if model.end >= size or model.tokens.padding >= size:
        raise BadModel("The tokenizer names tokens that the network does not know: it belongs to another model.")
    return dataclasses.replace(model, packed=check_memory(model.network, model.tokens.padding))
