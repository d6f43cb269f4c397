"""Causal language models (folders of transformers, GGUF files): they answer a text with a label, or with a text.

A label is as likely as the network finds its tokens after the text, in relation to the other labels. So any label can
be answered with, and a new one needs no new weights. A free text is written token by token, the likeliest each. Code in
a folder is never run. A version keeps the pretrained network once, shared with the version before, and beside it the
adapter that was trained. Limits: one text and one answer a row; of a conversation the last answer is learnt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.framework import InputColumn, Signature
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.core.records.adoption_record import Inference
from evermodel.plugins.frameworks._transformers.folder_check import is_language_model_folder
from evermodel.plugins.frameworks._transformers.smaller_network import (  # noqa: F401 - what can be pruned
    count_layers,
    find_channel_groups,
    mask_channels,
    remove_channels,
    remove_layers,
)

EXTRA = "transformers"


def is_model(obj: Any) -> bool:
    return type(obj).__module__ == "evermodel.plugins.frameworks._causal.language_model"


def recognize(path: Path, /) -> Confidence:
    """A folder whose configuration names a causal language model, or a GGUF file."""
    from evermodel.plugins.frameworks._causal.model_files import is_gguf

    known = is_language_model_folder(path) or (path.is_file() and is_gguf(path))
    return Confidence.CERTAIN if known else Confidence.NO


def suffixes() -> tuple[str, ...]:
    return ("",)  # a folder


def read_file(path: Path, *, trust: bool = False, factory: str | None = None) -> Any:
    """A language model from its folder or GGUF file; ``trust`` changes nothing, because no code is ever run.

    Raises BadModel, Unsafe, MissingExtra.
    """
    from evermodel.plugins.frameworks._causal import model_files

    if factory is not None:
        raise BadModel("A folder of transformers says itself how its network is built.", "Leave factory out.")
    return model_files.read_gguf(path) if path.is_file() else model_files.read_folder(path)


def native_object(obj: Any) -> Any:
    """The network as transformers has it, in evaluation mode, the adapter added to its weights."""
    import copy

    return copy.deepcopy(obj.network).eval()


def write_file(obj: Any, to: Path) -> None:
    """A folder for transformers, the adapter added to the weights; answers.json names the labels."""
    from evermodel.plugins.frameworks._causal import model_files

    model_files.write_folder(obj, to)


def plain_script() -> Path:
    return Path(__file__).parent / "_plain_files" / "use_language_model.py"


def plain_input(obj: Any, x: Any) -> Any:
    """The column of texts as it is."""
    return x


def plain_answers(obj: Any, x: Any) -> Array:
    """Log probabilities of the labels, before a softmax over them; of free text those of its first token."""
    if obj.writing is not None:
        from evermodel.plugins.frameworks._causal import writing

        return writing.first_token_scores(obj, x)
    return predict(obj, x)


def plain_tensors(obj: Any) -> dict[str, list[int]]:
    return {}


def write_base(obj: Any, to: Path) -> None:
    """The pretrained network as a folder of transformers."""
    from evermodel.plugins.frameworks._causal import model_files

    model_files.write_base(obj, to)


def write_adapter(obj: Any, to: Path, base: str) -> None:
    """The adapter as a folder that PEFT and vLLM read; without one, one that changes nothing."""
    from evermodel.plugins.frameworks._causal import model_files

    model_files.write_adapter_folder(obj, to, base)


def write_gguf(obj: Any, to: Path, note: str) -> None:
    """A GGUF file with the adapter added to the weights, which answers as the object does; else BadModel."""
    from evermodel.plugins.frameworks._causal import gguf_file

    gguf_file.write_gguf(obj, to, note)


def save(obj: Any, to: Path) -> None:
    from evermodel.plugins.frameworks._causal import model_files

    model_files.save(obj, to)


def load(at: Path) -> Any:
    from evermodel.plugins.frameworks._causal import model_files

    return model_files.load(at)


def read_signature(obj: Any) -> Signature:
    labels = obj.labels
    if obj.writing is not None:
        reads = {0: InputColumn("text")}
        return Signature("frame", (1,), columns=reads, task="text", output="text", network=True, pretrained=True)
    return Signature(
        layout="frame",
        shape=(1,),
        columns={0: InputColumn("text")},
        task=None if labels is None else "binary" if len(labels) == 2 else "multiclass",
        classes=labels,
        outputs=None if labels is None else len(labels),
        output="logit",
        network=True,
        pretrained=True,
    )


def name_labels(obj: Any, labels: Sequence[Any]) -> Any:
    """The same model, which answers with these labels; nothing is trained for it."""
    return dataclasses.replace(obj, labels=tuple(labels), writing=None)


def predict(obj: Any, x: Any) -> Array:
    """(n, labels) log probabilities of the labels' tokens, of a frame of one column of texts; long texts are cut.

    Costs one pass for each text, and one for the tokens of each label after it. Raises BadModel without labels.
    """
    from evermodel.plugins.frameworks._causal import answer_scores

    return answer_scores.predict(obj, x)


def learn_answers(obj: Any, x: Any, answers: Sequence[str]) -> tuple[Any, tuple[Inference, ...]]:
    """The same model, which answers with a text; how long and in which form the reference rows show. Raises BadModel.

    Costs two passes over 64 of them at most.
    """
    from evermodel.plugins.frameworks._causal import writing

    return writing.learn_answers(obj, x, answers)


def write_answers(obj: Any, x: Any, *, again: bool = False, exactly: int | None = None) -> list[str]:
    """The answers to a frame of one column of prompts, each the likeliest token after token."""
    from evermodel.plugins.frameworks._causal import writing

    return writing.write_answers(obj, x, again=again, exactly=exactly)


def measure_answers(obj: Any, x: Any, answers: Sequence[str]) -> Array:
    """(n, 2): nats and tokens of given answers, the end of each among them."""
    from evermodel.plugins.frameworks._causal import writing

    return writing.measure_answers(obj, x, answers)


def score_choices(obj: Any, contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[Array]:
    """For each context the log probability of each choice as its ending; costs one pass for each choice."""
    from evermodel.plugins.frameworks._causal import choice_scores

    return choice_scores.score_choices(obj, contexts, choices)


def count_cut(obj: Any, x: Any) -> int:
    """How many prompts are cut, because the network cannot take them whole."""
    from evermodel.plugins.frameworks._causal import writing

    return writing.count_cut(obj, x)


def count_long(obj: Any, answers: Sequence[str]) -> int:
    """How many of these answers have more tokens than the model may write."""
    return sum(len(one) > obj.writing.most_tokens for one in obj.encode_answers(answers))


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """Trains the part that ``choose_trainable`` chose; the adapter unless told otherwise.

    ``y`` holds codes of labels, or the texts of answers. AdamW on the tokens of the answers alone,
    three epochs of batches of 16; 5e-4 for an adapter, 5e-5 for all weights,
    rising for the first steps and then falling to 0. ``from_scratch`` keeps the pretrained network and draws the
    adapter anew. Same seed, same bits. Raises BadSetting, BadData.
    """
    from evermodel.plugins.frameworks._causal import fit as fitting

    return fitting.fit(obj, x, y, training, from_scratch=from_scratch)


def choose_trainable(obj: Any, part: TrainablePart, *, rank: int | None = None) -> Any:
    """The same model, of which the next training changes ``part``; ``rank`` is that of its adapter.

    Raises BadSetting for the head: it is the vocabulary, and the labels are words of it.
    """
    if part is TrainablePart.HEAD:
        raise BadSetting("A language model has no head of its own for the labels.", "Use the strategy lora or full.")
    return dataclasses.replace(obj, part=part, rank=rank or obj.rank)
