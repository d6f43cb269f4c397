"""Whether model folders fit together, found before anything is written: architecture, shapes, vocabulary, templates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, NotFound, Unsafe
from evermodel.core.files import read_limited
from evermodel.core.tensors.model_weights import ModelWeights, has_weights, read_model_weights
from evermodel.core.tensors.tensor_file import BYTES, StoredTensor
from evermodel.searching.merge.float_parts import FLOATS, OpenFiles

CONFIG = "config.json"
LARGEST_JSON = 100_000_000  # bytes
# Entries of config.json that say nothing of what the weights mean.
UNIMPORTANT = ("_name_or_path", "torch_dtype", "dtype", "transformers_version", "use_cache", "id2label", "label2id")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
SHOWN = 60
INTEGERS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class MergeSource:
    """One model: its folder, or the single file of its weights."""

    path: Path
    weights: ModelWeights
    config: Mapping[str, Any]

    @property
    def folder(self) -> Path | None:
        return self.path if self.path.is_dir() else None


def read_source(path: Path) -> MergeSource:
    """The headers and the configuration. Raises NotFound, Unsafe, BadModel; no weight is read."""
    if not path.exists():
        raise NotFound(f"There is no model {str(path)!r}.", "Give the folder of a model, or its safetensors file.")
    if path.is_dir() and not has_weights(path):
        if (path / "adapter_config.json").is_file():
            raise BadModel(
                f"{path.name} is an adapter: it changes a model and is none.",
                "Merge it into its model first: PeftModel.from_pretrained(model, FOLDER).merge_and_unload().",
            )
        pickles = sorted(p.name for p in path.iterdir() if p.suffix in PICKLES)
        if pickles:
            raise Unsafe(
                f"{path.name} holds its weights as {pickles[0]}: files of this kind can run code when they are read.",
                "Where you trust it, save the model as safetensors: model.save_pretrained(FOLDER).",
            )
    if path.is_file() and path.suffix in PICKLES:
        raise Unsafe(f"{path.name} can run code when it is read.", "Where you trust it, save it as safetensors.")
    config = _read_json(path / CONFIG) if path.is_dir() else {}
    return MergeSource(path, read_model_weights(path), config)


def check_compatible(first: MergeSource, others: Sequence[MergeSource]) -> None:
    """Raises BadModel where an element-wise merge of the models would make no sense, naming the first difference."""
    for other in others:
        if other.path.resolve() == first.path.resolve():
            raise BadModel(f"{other.path.name} is given twice.", "Name different models.")
        _compare_configs(first, other)
        _compare_tensors(first, other)
        if first.folder is not None and other.folder is not None:
            _compare_tokenizers(first.folder, other.folder)
    _check_types(first)


def check_integers(files: OpenFiles, sources: Sequence[MergeSource]) -> None:
    """Raises BadModel where tensors of whole numbers, which have no mean, differ between the models."""
    for name, tensor in sources[0].weights.tensors.items():
        if tensor.dtype in FLOATS:
            continue
        for other in sources[1:]:
            if not _holds_the_same(files, tensor, other.weights.tensors[name]):
                raise BadModel(f"{name!r} holds whole numbers that differ between {_names(sources[0], other)}.")


def _holds_the_same(files: OpenFiles, one: StoredTensor, other: StoredTensor) -> bool:
    for start in range(0, one.size, INTEGERS_AT_ONCE):
        count = min(INTEGERS_AT_ONCE, one.size - start)
        if files.read(one, start, count) != files.read(other, start, count):
            return False
    return True


def _compare_configs(one: MergeSource, other: MergeSource) -> None:
    for key in sorted({*one.config, *other.config} - set(UNIMPORTANT)):
        a, b = one.config.get(key), other.config.get(key)
        if a != b and one.config and other.config:
            raise BadModel(
                f"{_names(one, other)} are not of one architecture: {key} is {_show(a)} and {_show(b)}.",
                "Only models with the same configuration can be merged weight by weight.",
            )
    labels = [source.config.get("id2label") for source in (one, other)]
    if labels[0] != labels[1] and one.config and other.config:
        raise BadModel(
            f"{_names(one, other)} do not have the same labels in the same order.",
            "Train the second on the first one's labels; outputs of different labels have no mean.",
        )


def _compare_tensors(one: MergeSource, other: MergeSource) -> None:
    mine, theirs = one.weights.tensors, other.weights.tensors
    alone = [n for n in (*mine, *theirs) if (n in mine) != (n in theirs)]
    if alone:
        where = one if alone[0] in mine else other
        raise BadModel(
            f"{_names(one, other)} do not have the same tensors: {len(alone)} are in one alone, such as "
            f"{alone[0]!r} in {where.path.name}."
        )
    for name, tensor in mine.items():
        if tensor.shape != theirs[name].shape:
            what = " (the vocabularies are of different sizes)" if "embed" in name or "lm_head" in name else ""
            raise BadModel(
                f"{name!r} has the shape {list(tensor.shape)} in {one.path.name} and {list(theirs[name].shape)} in "
                f"{other.path.name}{what}."
            )
        if (tensor.dtype in FLOATS) != (theirs[name].dtype in FLOATS):
            raise BadModel(f"{name!r} is {tensor.dtype} in {one.path.name} and {theirs[name].dtype} in the other.")


def _check_types(source: MergeSource) -> None:
    packed = [t for t in source.weights.tensors.values() if t.dtype not in FLOATS and BYTES[t.dtype] == 1]
    packed = [tensor for tensor in packed if tensor.dtype != "BOOL"]
    if packed:
        raise BadModel(
            f"{source.path.name} is quantized: {packed[0].name!r} is {packed[0].dtype}, which has no mean.",
            "Merge the models as they were before they were quantized.",
        )
    if not source.weights.tensors:
        raise BadModel(f"There is no tensor in {source.path.name}.")


def _compare_tokenizers(one: Path, other: Path) -> None:
    if (one / "tokenizer.json").is_file() and (other / "tokenizer.json").is_file():
        mine, theirs = (_read_vocabulary(folder / "tokenizer.json") for folder in (one, other))
        if mine != theirs:
            raise BadModel(
                f"The tokenizers of {one.name} and {other.name} differ: the same text would become other token ids.",
                "Merge models that were trained with one tokenizer.",
            )
    mine, theirs = (_read_template(folder) for folder in (one, other))
    if mine != theirs:
        raise BadModel(
            f"The chat templates of {one.name} and {other.name} differ: each was trained on chats written otherwise.",
            "Where one template is meant for both, put it into both folders.",
        )


def _read_vocabulary(path: Path) -> object:
    told = _read_json(path)
    model = told.get("model") if isinstance(told.get("model"), Mapping) else {}
    added = [(t.get("id"), t.get("content")) for t in told.get("added_tokens") or () if isinstance(t, Mapping)]
    return (model or {}).get("vocab"), (model or {}).get("merges"), added


def _read_template(folder: Path) -> object:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text()
    told = folder / "tokenizer_config.json"
    return _read_json(told).get("chat_template") if told.is_file() else None


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(read_limited(path, LARGEST_JSON))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadModel(f"{path.name} of {path.parent.name} cannot be read: it holds no JSON object.")
    return found


def _names(one: MergeSource, other: MergeSource) -> str:
    return f"{one.path.name} and {other.path.name}"


def _show(value: Any) -> str:
    return "not there" if value is None else json.dumps(value)[:SHOWN]
