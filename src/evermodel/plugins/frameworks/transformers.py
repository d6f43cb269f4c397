"""Hugging Face transformers: folders of classifiers of texts or pictures, read offline.

A folder holds config.json, safetensors, and tokenizer.json or preprocessor_config.json. Code that comes with it is
never run, and weights in a pickle are refused. A version keeps the pretrained network once, shared with the version
before, and beside it the adapter and the head that were trained: a few megabytes. Limits: one text or picture a row,
one label or number for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.plugins.frameworks._transformers.folder_check import is_model_folder
from evermodel.plugins.frameworks._transformers.smaller_network import (  # noqa: F401 - what can be pruned
    count_layers,
    find_channel_groups,
    mask_channels,
    remove_channels,
    remove_layers,
)

EXTRA = "transformers"


def is_model(obj: Any) -> bool:
    return type(obj).__module__ == "evermodel.plugins.frameworks._transformers.classifier"


def recognize(path: Path, /) -> Confidence:
    """A folder with a configuration of transformers, or an adapter's."""
    return Confidence.CERTAIN if is_model_folder(path) else Confidence.NO


def suffixes() -> tuple[str, ...]:
    return ("",)  # a folder


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A classifier from its folder; ``trust`` changes nothing, because no code of a folder is ever run.

    Raises BadModel, Unsafe, MissingExtra.
    """
    from evermodel.plugins.frameworks._transformers import classifier_files

    if factory is not None:
        raise BadModel("A folder of transformers says itself how its network is built.", "Leave factory out.")
    return classifier_files.read_folder(path)


def native_object(obj: Any) -> Any:
    """The network as transformers has it, in evaluation mode, the adapter added to its weights."""
    import copy

    return copy.deepcopy(obj.network).eval()


def write_file(obj: Any, to: Path) -> None:
    """A folder for transformers, the adapter added to the weights."""
    from evermodel.plugins.frameworks._transformers import classifier_files

    classifier_files.write_folder(obj, to)


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_transformers.py"


def plain_input(obj: Any, x: Any) -> Any:
    """The column of texts or pictures as it is."""
    return x


def plain_answers(obj: Any, x: Any) -> Array:
    """Scores before a softmax, or values."""
    return predict(obj, x)


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def save(obj: Any, to: Path) -> None:
    from evermodel.plugins.frameworks._transformers import classifier_files

    classifier_files.save(obj, to)


def load(at: Path) -> Any:
    from evermodel.plugins.frameworks._transformers import classifier_files

    return classifier_files.load(at)


def read_signature(obj: Any) -> Signature:
    outputs = obj.outputs
    return Signature(
        layout="frame",
        shape=(1,),
        columns={0: InputColumn(obj.reader.kind)},
        task="regression" if outputs == 1 else "binary" if outputs == 2 else "multiclass",
        classes=obj.labels,
        outputs=outputs,
        output="value" if outputs == 1 else "logit",
        network=True,
        pretrained=True,
    )


def predict(obj: Any, x: Any) -> Array:
    """(n, k) scores before a softmax, or (n, 1) values, of a frame of one column; long texts are cut."""
    from evermodel.plugins.frameworks._transformers import predict as predicting

    return predicting.predict(obj, x)


def embed_texts(obj: Any, texts: Sequence[str]) -> Array:
    """(n, d) mean of the last hidden states over a text's tokens; long texts are cut."""
    from evermodel.plugins.frameworks._transformers import predict as predicting

    return predicting.embed_texts(obj, texts)


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """Trains the part that ``choose_trainable`` chose; the adapter and the head unless told otherwise.

    AdamW, five epochs of batches of 16; 1e-3 for an adapter, 5e-3 for a head, 1e-4 for all weights and ten times that
    for their head; rising for the first steps and then falling to 0. ``from_scratch`` keeps the pretrained network and
    draws adapter and head anew.
    Same seed, same bits. Raises BadSetting, BadData.
    """
    from evermodel.plugins.frameworks._transformers import fit as fitting

    return fitting.fit(obj, x, y, training, from_scratch=from_scratch)


def choose_trainable(obj: Any, part: TrainablePart, *, rank: int | None = None) -> Any:
    """The same classifier, of which the next training changes ``part``; ``rank`` is that of its adapter."""
    return dataclasses.replace(obj, part=part, rank=rank or obj.rank)


def widen(obj: Any, *, inputs: int, outputs: int) -> Any:
    """More labels; rows are answered as before, to 0.00005 of a probability. Raises BadSetting without a bias."""
    from evermodel.plugins.frameworks._transformers.classification_head import widen_head

    if outputs <= obj.outputs:
        return obj
    return dataclasses.replace(obj, trained={**obj.trained, **widen_head(obj.network, outputs)}, labels=None)
