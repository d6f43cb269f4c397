"""How likely a language model finds each of its labels as the answer to a text."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._causal.language_model import LanguageModel
from evermodel.plugins.frameworks._transformers.predict import read_texts

SEQUENCES = 128  # texts times labels in one forward pass: bounds the memory
ALIKE = 1e-3  # of a log probability


def predict(model: LanguageModel, x: Any) -> Array:
    """(n, labels) float32: the log probability of each label's tokens after the text, of a frame of one text column.

    They are scores before a softmax over the labels. Each text is read once, whatever the number of labels.
    Raises BadModel where no labels were named.
    """
    if not model.labels:
        raise BadModel(
            "A language model answers with one of known texts, and none were named.",
            "The target must be a column of labels, not of numbers.",
        )
    prompts = model.encode_prompts(read_texts(x))
    return score_prompts(model.network.eval(), prompts, model.answers, model.tokens.padding)


def score_prompts(
    network: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], padding: int
) -> Array:
    """(prompts, answers) float32 log probabilities, any number of prompts: those of like length go together."""
    found = np.empty((len(prompts), len(answers)), np.float32)
    order = np.argsort([len(one) for one in prompts], kind="stable")
    size = max(1, SEQUENCES // len(answers))
    for start in range(0, len(order), size):
        at = order[start : start + size]
        found[at] = score_answers(network, [prompts[i] for i in at], answers, padding)
    return found


def score_answers(
    network: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], padding: int
) -> Array:
    """(prompts, answers) the log probability of all tokens of each answer after each prompt.

    The prompts go through the network once; what it remembers of them (keys and values) is shared by all answers.
    """
    import torch

    n, k, longest = len(prompts), len(answers), max(map(len, answers))
    batch = pad_left(prompts, padding)
    with torch.inference_mode():
        read = network(**batch, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1].float().log_softmax(dim=-1)
        total = first[:, [one[0] for one in answers]].clone()
        if longest > 1:
            tokens, there = (torch.from_numpy(a) for a in _pad_right(answers, padding))
            cache, before = read.past_key_values, batch["attention_mask"].repeat_interleave(k, dim=0)
            cache.batch_repeat_interleave(k)
            mask = torch.cat([before, there[:, :-1].repeat(n, 1)], dim=1)
            places = before.sum(dim=1, keepdim=True) + torch.arange(longest - 1)
            said = network(
                input_ids=tokens[:, :-1].repeat(n, 1),
                attention_mask=mask,
                position_ids=places,
                use_cache=True,
                **{_name_memory(network): cache},
            )
            following = said.logits.float().log_softmax(dim=-1)
            each = following.gather(2, tokens[:, 1:].repeat(n, 1)[..., None])[..., 0] * there[:, 1:].repeat(n, 1)
            total += each.sum(dim=1).reshape(n, k)
    return np.asarray(total.numpy())


def _name_memory(network: Any) -> str:
    """The argument by which the network is given what it remembers: newer versions of transformers say ``cache``."""
    return "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"


def check_memory(network: Any, padding: int) -> None:
    """Raises BadModel for an architecture that does not answer alike with and without what it remembers of a prompt."""
    import torch

    prompts, answers = ((1, 2, 3, 4), (5, 6)), ((1, 2, 3), (2, 4))
    kind = type(network).__name__
    try:
        found = score_answers(network, prompts, answers, padding)
    except (AttributeError, TypeError, ValueError, RuntimeError, IndexError) as error:
        said = " ".join(str(error).split())[:150]
        raise BadModel(f"A {kind} cannot be asked for several answers to one text ({said}).") from error
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers):
            ids = torch.tensor([[*prompt, *answer]])
            with torch.inference_mode():
                logs = network(input_ids=ids).logits[0].float().log_softmax(dim=-1)
            expected = sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))
            if abs(expected - found[row, column]) > ALIKE * max(1.0, abs(expected)):
                raise BadModel(
                    f"A {kind} answers otherwise when several answers are asked of one text: "
                    f"{found[row, column]:.4f} instead of {expected:.4f}."
                )


def pad_left(sequences: Sequence[Sequence[int]], padding: int) -> dict[str, Any]:
    """``input_ids``, ``attention_mask`` and ``position_ids`` (n, longest); all sequences end at the last place."""
    import torch

    width = max(1, max(map(len, sequences)))
    ids, mask = np.full((len(sequences), width), padding, np.int64), np.zeros((len(sequences), width), np.int64)
    for row, one in enumerate(sequences):
        ids[row, width - len(one) :], mask[row, width - len(one) :] = one, 1
    named = {"input_ids": ids, "attention_mask": mask, "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0)}
    return {name: torch.from_numpy(values) for name, values in named.items()}


def _pad_right(sequences: Sequence[Sequence[int]], padding: int) -> tuple[Array, Array]:
    width = max(map(len, sequences))
    ids, mask = np.full((len(sequences), width), padding, np.int64), np.zeros((len(sequences), width), np.int64)
    for row, one in enumerate(sequences):
        ids[row, : len(one)], mask[row, : len(one)] = one, 1
    return ids, mask
