"""A classifier's files: the folder of a version, and the plain folder that transformers itself reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.tensors.model_weights import SINGLE, read_model_weights
from evermodel.plugins.frameworks._transformers.classification_head import find_head
from evermodel.plugins.frameworks._transformers.classifier import Classifier
from evermodel.plugins.frameworks._transformers.folder_check import (
    CONFIG,
    read_checked_config,
    read_input_files,
    read_json,
    read_labels,
    takes_images,
)
from evermodel.plugins.frameworks._transformers.low_rank import A as LORA_A
from evermodel.plugins.frameworks._transformers.low_rank import adapter_config, list_layers
from evermodel.plugins.frameworks._transformers.network_files import (
    ADAPTER,
    read_adapter,
    read_network,
    share_weights,
    write_adapter,
    write_tokenizer,
    write_weights,
    write_whole_folder,
)

BASE = "base"


def read_folder(path: Path) -> Classifier:
    """The classifier of a stranger's folder. Raises BadModel or Unsafe; nothing in it is executed."""
    config = read_checked_config(path)
    network = read_network(path, _find_auto_class(config), use_safetensors=True)
    find_head(network)
    model = Classifier(
        config,
        read_input_files(path, config),
        network,
        read_model_weights(path).paths,
        labels=read_labels(config),
        part=TrainablePart.ADAPTER if list_layers(network) else TrainablePart.ALL,
    )
    model.reader.check_network(network)
    if model.labels is not None and len(model.labels) != model.outputs:
        raise BadModel(f"{CONFIG} names {len(model.labels)} labels, and the head has {model.outputs} outputs.")
    return model


def save(model: Classifier, to: Path) -> None:
    """The pretrained network as a folder of its own, whose weights are linked where a file holds them already, and
    beside it the adapter and the head as a folder that PEFT reads.
    """
    base = to / BASE
    base.mkdir()
    (base / CONFIG).write_text(json.dumps(dict(model.config), indent=1))
    write_tokenizer(model.input_files, base)
    share_weights(model.files, model.files_are_kept, model.pretrained, base)
    (to / "classifier.json").write_text(model.to_json())
    if not model.trained:
        return
    (to / ADAPTER).mkdir()
    rank = next((len(tensor) for name, tensor in model.trained.items() if name.endswith(LORA_A)), 0)
    if rank:  # else the head alone was trained, and PEFT has nothing to read
        told = adapter_config(model.pretrained, rank, f"../{BASE}", "SEQ_CLS", model.head.names)
        (to / ADAPTER / "adapter_config.json").write_text(json.dumps(told, indent=1))
    write_adapter(model.trained, to / ADAPTER)


def load(at: Path) -> Classifier:
    """The classifier of a version's folder."""
    base, told = at / BASE, json.loads((at / "classifier.json").read_text())
    config = read_json(base / CONFIG)
    return Classifier(
        config,
        read_input_files(base, config),
        read_network(base, _find_auto_class(config), use_safetensors=True),
        read_model_weights(base).paths,
        True,
        read_adapter(at),
        None if told["labels"] is None else tuple(told["labels"]),
        TrainablePart(told["part"]),
        int(told["rank"]),
    )


def write_folder(model: Classifier, to: Path) -> None:
    """Everything as transformers reads it, the adapter added to the weights; the folder is old or new, never half."""
    with write_whole_folder(to) as staged:
        (staged / CONFIG).write_text(json.dumps(model.full_config(), indent=1))
        write_tokenizer(model.input_files, staged)
        write_weights(model.network, staged / SINGLE)


def _find_auto_class(config: dict[str, Any]) -> str:
    """Of transformers' classes, the one that reads a network with such a head."""
    return "AutoModelForImageClassification" if takes_images(config) else "AutoModelForSequenceClassification"
