"""How many nats the tokens of given answers cost a language model, each row by itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._causal.padding import pad_left

NO_LOSS = -100  # what torch's cross entropy leaves out
SCORED = 512  # tokens in one forward pass that get a score for each word of the vocabulary: bounds the memory
READ = 4_096  # tokens in one forward pass: bounds the memory


def compute_token_losses(
    network: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], padding: int
) -> tuple[Any, Any]:
    """Of each answer's tokens behind its prompt (n, longest answer): nats, 0 where there is none, and whether the token
    is the likeliest there. Torch tensors with a gradient where one is recorded.
    """
    import torch

    longest = max(map(len, answers))
    batch = pad_left([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)], padding)
    target = np.full((len(prompts), longest), NO_LOSS, np.int64)
    for row, answer in enumerate(answers):
        target[row, longest - len(answer) :] = answer
    cuts = "logits_to_keep" in inspect.signature(network.forward).parameters
    kept = {"logits_to_keep": longest + 1} if cuts else {}
    scores = network(**batch, use_cache=False, **kept).logits[:, -longest - 1 : -1].float()
    wanted = torch.from_numpy(target)
    nats = torch.nn.functional.cross_entropy(scores.transpose(1, 2), wanted, ignore_index=NO_LOSS, reduction="none")
    return nats, scores.detach().argmax(dim=-1) == wanted


def measure_answer_losses(
    network: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], padding: int
) -> Array:
    """(n, 3) float64: the nats of each answer, its tokens, and how many of them are the likeliest where they stand."""
    import torch

    found = np.zeros((len(prompts), 3))
    with torch.inference_mode():
        for at in split_batches(prompts, answers):
            few = [prompts[row] for row in at], [answers[row] for row in at]
            nats, right = compute_token_losses(network, *few, padding)
            lengths = [len(answer) for answer in few[1]]
            found[at] = np.column_stack([nats.double().sum(dim=1).numpy(), lengths, right.sum(dim=1).numpy()])
    return found


def split_batches(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Iterator[Array]:
    """Positions of rows of like length, as many at once as memory is meant for."""
    lengths = np.array([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)], np.int64)
    order, start = np.argsort(-lengths, kind="stable"), 0
    while start < len(order):
        longest = int(lengths[order[start]])
        scored = max(len(answers[row]) for row in order[start : start + SCORED])
        size = max(1, min(SCORED // max(1, scored), READ // max(1, longest)))
        yield order[start : start + size]
        start += size
