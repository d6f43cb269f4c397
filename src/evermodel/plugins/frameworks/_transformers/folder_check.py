"""What a Hugging Face folder holds, by its JSON and the headers of its weights: nothing in it is executed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, Unsafe
from evermodel.core.files import read_limited
from evermodel.core.tensors.model_weights import has_weights, read_model_weights

CONFIG, TOKENIZER, ADAPTER = "config.json", "tokenizer.json", "adapter_config.json"
PROCESSOR = "preprocessor_config.json"  # says how a picture becomes the tensor that the network takes
# Files that say how texts become token ids. The last ones are read by transformers alone, and go with the folder.
TOKENIZER_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"),
    "chat_template.jinja",
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5")
UNNAMED = re.compile(r"LABEL_\d+")
LARGEST_JSON = 50_000_000  # bytes of a configuration or a tokenizer
MOST_LABELS = 100_000
CLASSIFIERS = ("SequenceClassification",)  # ends of the names of architectures
IMAGE_CLASSIFIERS = ("ForImageClassification",)
OUT_OF_SCOPE = {  # parts of the names of architectures: what they answer with
    "ObjectDetection": "boxes around objects (object detection)",
    "Segmentation": "a label for each pixel (segmentation)",
    "DepthEstimation": "a depth for each pixel (depth estimation)",
    "KeypointDetection": "points in pictures (keypoint detection)",
    "KeypointMatching": "matching points of two pictures",
    "PoseEstimation": "the points of a body (pose estimation)",
    "SuperResolution": "a picture (super-resolution)",
    "VideoClassification": "a label for a video",
    "ImageTextToText": "a text about a picture",
    "AudioClassification": "a label for a sound",
    "Zero": "a likeness of pictures and texts",
}
LANGUAGE_MODELS = ("ForCausalLM", "LMHeadModel")


def is_model_folder(path: Path) -> bool:
    """Whether the folder is one that transformers or PEFT wrote, or a model of a library that builds on them.

    Language models are told apart: see ``is_language_model_folder``.
    """
    if not path.is_dir():
        return False
    if (path / ADAPTER).is_file():
        return True
    return "model_type" in _peek(path) and not is_language_model_folder(path)


def is_language_model_folder(path: Path) -> bool:
    """Whether the folder holds a network that continues texts."""
    named = _peek(path).get("architectures") if path.is_dir() else None
    return isinstance(named, list) and any(str(name).endswith(LANGUAGE_MODELS) for name in named)


def _peek(path: Path) -> dict[str, Any]:
    """The configuration, where there is a readable one; nothing is checked yet."""
    try:
        config = json.loads(read_limited(path / CONFIG, LARGEST_JSON).decode(errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def read_checked_config(path: Path, *, language_model: bool = False) -> dict[str, Any]:
    """The configuration of a classifier, or of a language model, whose folder is whole.

    Raises BadModel or Unsafe, saying what to do.
    """
    if not (path / CONFIG).is_file():
        raise BadModel(
            f"{path.name} is an adapter: the model that it belongs to is not in the folder.",
            "Merge it where its model is: PeftModel.from_pretrained(model, FOLDER).merge_and_unload() and "
            "save_pretrained(NEW); then adopt NEW, with the tokenizer's files in it.",
        )
    config = read_json(path / CONFIG)
    if config.get("auto_map"):
        raise Unsafe(
            f"{path.name} brings Python code of its own (auto_map), which would have to run.",
            "Only architectures that transformers itself knows are taken: save the model as one of these.",
        )
    if not has_weights(path):
        _refuse_weights(path)
    if not language_model:
        _check_architecture(path, config)
    _check_sizes(path, config, len(read_model_weights(path).tensors))
    if takes_images(config):
        if not (path / PROCESSOR).is_file():
            raise BadModel(
                f"There is no {PROCESSOR} in {path.name}: nothing says how a picture becomes the network's input.",
                "Save the image processor that it was trained with into the folder: "
                "AutoImageProcessor.from_pretrained(NAME).save_pretrained(FOLDER).",
            )
    elif not (path / TOKENIZER).is_file():
        raise BadModel(
            f"There is no {TOKENIZER} in {path.name}: nothing says how a text becomes token ids.",
            "Save the tokenizer into the folder: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER).",
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file that is not too large. Raises BadModel."""
    try:
        found = json.loads(read_limited(path, LARGEST_JSON))
    except OSError as error:
        raise BadModel(f"{path.name} cannot be read: {error.strerror}.", "Copy the folder again.") from None
    except (ValueError, RecursionError):
        raise BadModel(f"{path.name} cannot be read: it is no JSON.", "Copy the folder again.") from None
    if not isinstance(found, dict):
        raise BadModel(f"{path.name} holds no JSON object.", "Copy the folder again.")
    return found


def takes_images(config: dict[str, Any]) -> bool:
    """Whether the configuration is that of a classifier of pictures."""
    return any(str(name).endswith(IMAGE_CLASSIFIERS) for name in config.get("architectures") or ())


def read_tokenizer(path: Path) -> dict[str, bytes]:
    """The files that say how a text becomes token ids, by name. Raises BadModel for one that is too large."""
    return _read_files(path, TOKENIZER_FILES)


def read_input_files(path: Path, config: dict[str, Any]) -> dict[str, bytes]:
    """The files that say how a row becomes what the network takes, by name. Raises BadModel."""
    return _read_files(path, (PROCESSOR,)) if takes_images(config) else read_tokenizer(path)


def _read_files(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    found = {}
    for name in names:
        if not (path / name).is_file():
            continue
        try:
            found[name] = read_limited(path / name, LARGEST_JSON)
        except OSError as error:
            raise BadModel(f"{name} of {path.name} cannot be read: {error.strerror}.", "Copy it again.") from None
    return found


def read_labels(config: dict[str, Any]) -> tuple[Any, ...] | None:
    """The classes in the order of the outputs; None where the configuration only numbers them."""
    try:
        named = {int(place): str(label) for place, label in dict(config.get("id2label") or {}).items()}
    except (TypeError, ValueError):
        raise BadModel(f"id2label in {CONFIG} is no table from output to label.") from None
    labels = tuple(named[place] for place in sorted(named))
    if not labels or all(UNNAMED.fullmatch(label) for label in labels):
        return None
    if sorted(named) != list(range(len(named))) or len(set(labels)) < len(labels):
        raise BadModel(f"id2label in {CONFIG} leaves out an output, or names a label twice.")
    return labels


def _check_architecture(path: Path, config: dict[str, Any]) -> None:
    names = [str(name)[:60] for name in config.get("architectures") or ()]
    kind = names[0] if names else f"a {str(config.get('model_type'))[:40]} model"
    if not any(name.endswith((*CLASSIFIERS, *IMAGE_CLASSIFIERS)) for name in names):
        answers = next((said for part, said in OUT_OF_SCOPE.items() if any(part in name for name in names)), None)
        if answers is not None:
            raise BadModel(
                f"{path.name} holds {kind}, which answers with {answers}: such models are out of scope.",
                "Taken are classifiers of texts or of pictures, and causal language models.",
            )
        raise BadModel(
            f"{path.name} holds {kind}, which has no head that classifies texts or pictures.",
            "Taken are models for sequence classification and image classification, and causal language models. "
            "Train a head on it: AutoModelForSequenceClassification, or AutoModelForImageClassification"
            ".from_pretrained(FOLDER, num_labels=N), and save that.",
        )
    if config.get("problem_type") == "multi_label_classification":
        row = "picture" if takes_images(config) else "text"
        raise BadModel(
            f"{path.name} gives several labels to one {row}; a model that is kept here answers one.",
            "Train and adopt one model for each label.",
        )


def _check_sizes(path: Path, config: dict[str, Any], tensors: int) -> None:
    """Raises BadModel where a network would be built of more layers or labels than the weights can fill."""
    layers, labels = config.get("num_hidden_layers"), config.get("id2label")
    if isinstance(layers, int) and layers > tensors:
        raise BadModel(f"{CONFIG} of {path.name} says {layers:,} layers, and the weights hold {tensors:,} tensors.")
    if isinstance(labels, dict) and len(labels) > MOST_LABELS:
        raise BadModel(f"{CONFIG} of {path.name} names {len(labels):,} labels, and {MOST_LABELS:,} can be taken.")


def _refuse_weights(path: Path) -> None:
    there = sorted(p.name for p in path.iterdir() if p.suffix in PICKLES)
    if there:
        images = takes_images(_peek(path))
        of, beside = ("Image", PROCESSOR) if images else ("Sequence", "the tokenizer's files")
        raise Unsafe(
            f"{path.name} holds its weights as {there[0]}: files of this kind can run code when they are read.",
            f"Where you trust the file: AutoModelFor{of}Classification.from_pretrained(FOLDER)"
            f".save_pretrained(NEW) writes safetensors; then adopt NEW, with {beside} in it.",
        )
    raise BadModel(f"There are no weights in {path.name}: it has no model.safetensors.", "Copy the whole folder.")
