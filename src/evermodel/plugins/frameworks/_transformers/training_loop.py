"""The training that classifiers and language models share: AdamW, with a rate that rises and falls."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.model.training import BestEpoch, Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks._transformers.batch_statistics import find_frozen_norms

WARM_UP = 0.06  # share of the steps in which the learning rate rises from 0; then it falls straight back to 0
LONGEST_GRADIENT = 1.0


class Objective(Protocol):
    """What a training is about: the loss of a batch of its rows, and how good the network is after an epoch."""

    def compute_loss(self, at: Array, /) -> Any: ...  # a torch scalar; ``at``: positions of the batch's rows
    def measure_training(self) -> float: ...  # the score on some of the rows trained on
    def measure_validation(self) -> tuple[float | None, float | None]: ...  # loss and score on rows kept apart, if any


def train_network(
    network: Any,
    groups: Sequence[Mapping[str, Any]],
    rate: float,
    lengths: Sequence[int],
    objective: Objective,
    training: Training,
    *,
    batch: int,
    epochs: int,
) -> None:
    """Changes the parameters in ``groups`` (each with ``params`` and how many times ``faster`` it learns), in place.

    ``lengths`` (n,) are the tokens of the rows; ``batch`` and ``epochs`` count where ``training`` names none. Raises
    BadData where the loss is no longer a number.
    """
    import torch

    chosen = [tensor for group in groups for tensor in group["params"]]
    steps, frozen = list(_batches(lengths, training, batch, epochs)), find_frozen_norms(network)
    optimizer = torch.optim.AdamW([dict(g) for g in groups], lr=0.0, weight_decay=training.weight_decay or 0.0)
    best = None if training.patience is None else BestEpoch[list[Any]](training.patience)
    began, losses, number = time.monotonic(), [], 1
    for step, (at, ends) in enumerate(steps, 1):
        network.train()
        for norm in frozen:
            norm.eval()
        for group in optimizer.param_groups:
            group["lr"] = group["faster"] * rate * _share(step, len(steps))
        loss = objective.compute_loss(at)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise BadData("The loss is no longer a number.", "Use a smaller learning_rate.")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chosen, LONGEST_GRADIENT)
        optimizer.step()
        if ends or step == len(steps):
            network.eval()
            score, (watched_loss, watched_score) = objective.measure_training(), objective.measure_validation()
            seconds = time.monotonic() - began
            training.on_epoch(Epoch(number, float(np.mean(losses)), score, watched_loss, watched_score, seconds))
            began, losses, number = time.monotonic(), [], number + 1
            stops = best is not None and best.add_epoch(watched_loss, lambda: _copy(chosen))
            if stops or training.out_of_time():
                break
    if best is not None and best.state is not None:
        with torch.no_grad():
            for tensor, kept in zip(chosen, best.state, strict=True):
                tensor.copy_(kept)


def _copy(tensors: list[Any]) -> list[Any]:
    return [tensor.detach().clone() for tensor in tensors]


def _share(step: int, steps: int) -> float:
    """Of the learning rate: straight up, then straight down."""
    rising = max(1.0, WARM_UP * steps)
    return min(step / rising, (steps - step + 1) / max(1.0, steps - rising + 1), 1.0)


def _batches(lengths: Sequence[int], training: Training, batch: int, epochs: int) -> Iterator[tuple[Array, bool]]:
    """Positions of the rows of each step, and whether a pass ends with it.

    Rows are drawn anew for each pass and put together by length within stretches of 50 batches: less padding.
    """
    random, size, n = np.random.default_rng(training.seed), training.batch_size or batch, len(lengths)
    length = np.array(lengths)
    passes = training.epochs or epochs
    if training.steps is not None or training.sampling is not None:
        chance = None if training.sampling is None else training.sampling / np.sum(training.sampling)
        per_pass = -(-n // size)
        for step in range(1, (training.steps or passes * per_pass) + 1):
            yield random.choice(n, min(size, n), p=chance), step % per_pass == 0
        return
    for _ in range(passes):
        order, parts = random.permutation(n), []
        for stretch in np.array_split(order, max(1, n // (50 * size))):
            alike = stretch[np.argsort(length[stretch], kind="stable")]
            parts += np.array_split(alike, -(-len(alike) // size))
        for place, part in enumerate(random.permutation(len(parts))):
            yield parts[part], place == len(parts) - 1
