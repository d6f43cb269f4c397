"""All answers to a text in one sequence: tokens that several answers begin with are read once, and nothing is padded.

Behind the prompt stand the tokens of the tree; a mask shows each of them the prompt and its own beginnings alone, and
its position is what it would have in its answer. So one pass scores all answers, without a memory that is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._causal.padding import pad_left


@dataclass(frozen=True)
class AnswerTree:
    """Answers that share their beginnings. The last token of an answer is scored and never read."""

    columns: Array  # (answers,) where each answer stands among all of them
    tokens: Array  # (nodes,) int64
    depths: Array  # (nodes,) int64: 0 for the first token of an answer
    sees: Array  # (nodes, nodes) bool: a node and the nodes before it in its answers
    places: Array  # (steps,) the node after which a token is scored; 0: the end of the prompt, else 1 + node
    scored: Array  # (steps,) that token
    answers: Array  # (steps,) the answer that the score belongs to

    def __len__(self) -> int:
        return len(self.tokens)


def plant_trees(answers: Sequence[Sequence[int]], most: int) -> list[AnswerTree]:
    """The answers as trees of at most ``most`` nodes, or of one answer where that is longer."""
    trees, group, nodes = list[AnswerTree](), list[int](), set[tuple[int, ...]]()
    for column in sorted(range(len(answers)), key=lambda i: tuple(answers[i])):
        own = {tuple(answers[column][:end]) for end in range(1, len(answers[column]))}
        if group and len(nodes | own) > most:
            trees.append(_plant(answers, group))
            group, nodes = [], set()
        group.append(column)
        nodes |= own
    return [*trees, _plant(answers, group)]


def _plant(answers: Sequence[Sequence[int]], columns: Sequence[int]) -> AnswerTree:
    nodes, steps = dict[tuple[int, ...], int](), list[tuple[int, int, int]]()
    for number, column in enumerate(columns):
        answer = tuple(answers[column])
        for end, token in enumerate(answer):
            if end:
                nodes.setdefault(answer[:end], len(nodes))
            steps.append((1 + nodes[answer[:end]] if end else 0, token, number))
    sees = np.zeros((len(nodes), len(nodes)), bool)
    for path, at in nodes.items():
        sees[at, [nodes[path[:end]] for end in range(1, len(path) + 1)]] = True
    places, scored, belong = (np.array(part, np.int64) for part in zip(*steps, strict=True))
    tokens = np.array([path[-1] for path in nodes], np.int64)
    depths = np.array([len(path) - 1 for path in nodes], np.int64)
    return AnswerTree(np.array(columns), tokens, depths, sees, places, scored, belong)


def score_tree(network: Any, prompts: Sequence[Sequence[int]], tree: AnswerTree, padding: int) -> Array:
    """(prompts, answers of the tree) float32 the log probability of all tokens of each answer after each prompt."""
    import torch

    batch, nodes, n = pad_left(prompts, padding), len(tree), len(prompts)
    shown = batch["attention_mask"].bool()  # (n, width)
    width = shown.shape[1]
    sees = torch.zeros(n, width + nodes, width + nodes, dtype=torch.bool)
    sees[:, :width, :width] = torch.ones(width, width, dtype=torch.bool).tril() & shown[:, None, :]
    sees[:, width:, :width] = shown[:, None, :]
    sees[:, width:, width:] = torch.from_numpy(tree.sees)
    sees |= torch.eye(width + nodes, dtype=torch.bool)  # padding sees itself: a row that sees nothing becomes NaN
    kept = torch.zeros(sees.shape, dtype=network.dtype).masked_fill(~sees, torch.finfo(network.dtype).min)
    lengths = shown.sum(dim=1, keepdim=True)
    with torch.inference_mode():
        logits = network(
            input_ids=torch.cat([batch["input_ids"], torch.from_numpy(tree.tokens).expand(n, -1)], dim=1),
            attention_mask=kept[:, None],
            position_ids=torch.cat([batch["position_ids"], lengths + torch.from_numpy(tree.depths)], dim=1),
            use_cache=False,
            logits_to_keep=nodes + 1,
        ).logits.float()
        chances = logits[:, tree.places, tree.scored] - logits.logsumexp(dim=-1)[:, tree.places]
        total = torch.zeros(n, len(tree.columns)).index_add_(1, torch.from_numpy(tree.answers), chances)
    return np.asarray(total.numpy())
