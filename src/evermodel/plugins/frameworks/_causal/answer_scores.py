"""How likely a language model finds each of its labels as the answer to a text."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._causal.answer_tree import plant_trees, score_tree
from evermodel.plugins.frameworks._causal.language_model import LanguageModel
from evermodel.plugins.frameworks._causal.padding import pad_left
from evermodel.plugins.frameworks._transformers.input_readers import read_texts

SEQUENCES = 128  # texts times labels in one forward pass: bounds the memory
SCORED = 512  # tokens in one forward pass that get a score for each word of the vocabulary: bounds the memory
ALIKE = 1e-3  # of a log probability
FAILURES = (AttributeError, TypeError, ValueError, RuntimeError, IndexError)  # of a network asked in a way of its own
logger = logging.getLogger(__name__)


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
    return score_prompts(model.network.eval(), prompts, model.answers, model.tokens.padding, packed=model.packed)


def score_prompts(
    network: Any,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    padding: int,
    *,
    packed: bool,
) -> Array:
    """(prompts, answers) float32 log probabilities, any number of prompts: those of like length go together.

    ``packed``: all answers stand behind their prompt in one sequence, see ``AnswerTree``; the network must take it.
    """
    found = np.empty((len(prompts), len(answers)), np.float32)
    order = np.argsort([len(one) for one in prompts], kind="stable")
    trees = plant_trees(answers, SCORED - 1) if packed else []
    size = max(1, SEQUENCES // len(answers)) if not packed else max(1, SCORED // (1 + max(map(len, trees))))
    for start in range(0, len(order), size):
        at = order[start : start + size]
        few = [prompts[i] for i in at]
        if not packed:
            found[at] = score_answers(network, few, answers, padding)
        for tree in trees:
            found[np.ix_(at, tree.columns)] = score_tree(network, few, tree, padding)
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


def check_memory(network: Any, padding: int) -> bool:
    """Whether the network takes all answers behind one prompt, packed, and answers as it does one by one.

    Raises BadModel for an architecture that does not answer alike with and without what it remembers of a prompt.
    """
    prompts, answers = ((1, 2, 3, 4), (5, 6)), ((1, 2, 3), (1, 2, 4), (2, 4))
    kind = type(network).__name__
    expected = _score_one_by_one(network, prompts, answers)
    try:
        found = score_answers(network, prompts, answers, padding)
    except FAILURES as error:
        said = " ".join(str(error).split())[:150]
        raise BadModel(f"A {kind} cannot be asked for several answers to one text ({said}).") from error
    off = np.abs(found - expected) > ALIKE * np.maximum(1.0, np.abs(expected))
    if off.any():
        raise BadModel(
            f"A {kind} answers otherwise when several answers are asked of one text: "
            f"{found[off][0]:.4f} instead of {expected[off][0]:.4f}."
        )
    if not _sees_everything(network.config):
        return False
    try:
        together = score_prompts(network, prompts, answers, padding, packed=True)
    except FAILURES:
        logger.info("A %s takes no packed answers.", kind, exc_info=True)
        return False
    return bool((np.abs(together - expected) <= ALIKE * np.maximum(1.0, np.abs(expected))).all())


def _score_one_by_one(network: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Array:
    import torch

    found = np.empty((len(prompts), len(answers)))
    for row, prompt in enumerate(prompts):
        for column, answer in enumerate(answers):
            with torch.inference_mode():
                ids = torch.tensor([[*prompt, *answer]])
                logs = network(input_ids=ids).logits[0].float().log_softmax(dim=-1)
            found[row, column] = sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))
    return found


def _sees_everything(config: Any) -> bool:
    """Whether each token sees all tokens before it: where it sees the last ones alone, a mask of ours would be wrong
    for texts that are longer than those of the check.
    """
    kinds = set(getattr(config, "layer_types", None) or ("full_attention",))
    return getattr(config, "sliding_window", None) is None and kinds == {"full_attention"}


def _pad_right(sequences: Sequence[Sequence[int]], padding: int) -> tuple[Array, Array]:
    width = max(map(len, sequences))
    ids, mask = np.full((len(sequences), width), padding, np.int64), np.zeros((len(sequences), width), np.int64)
    for row, one in enumerate(sequences):
        ids[row, : len(one)], mask[row, : len(one)] = one, 1
    return ids, mask
