"""Trains a program on minibatches by its own optimizer, dropout and batch statistics live."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadSetting
from evermodel.core.model.output import probabilities
from evermodel.core.model.training import BestEpoch, Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks._torch.optimizer_steps import STEPS
from evermodel.plugins.frameworks._torch.predict import predict, rows_of
from evermodel.plugins.frameworks._torch.program import Graph, Program, run

EPOCHS = 10
RATE = 1e-3
LOOKED_AT = 2_000  # training rows on which the score of an epoch is taken


def fit(program: Program, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Program:
    """A new program trained on x (n, …), y (n,): cross-entropy for classes, squared error for values.

    The same seed gives the same bits on the same machine. Raises BadSetting for more classes than outputs, BadData
    where the loss is no longer a number.
    """
    import torch

    _check_classes(program, training)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        start = fresh_tensors(program) if from_scratch else dict(program.tensors)
        tensors = {key: value.detach().clone() for key, value in start.items()}
        memory = {} if from_scratch else {key: value.clone() for key, value in program.memory.items()}
        _epochs(program, tensors, memory, x, y, training)
    done = {key: value.detach() for key, value in tensors.items()}
    classes = training.classes or program.classes or None
    return dataclasses.replace(program, tensors=done, memory=memory, classes=classes)


def _check_classes(program: Program, training: Training) -> None:
    outputs, classes = program.graph.width, len(training.classes)
    if classes > max(outputs, 2):
        raise BadSetting(f"The network has {outputs} outputs for {classes} classes.", "Use the strategy 'widen'.")
    if not classes and outputs != 1:
        raise BadSetting(f"A regression needs a network with one output. This one has {outputs}.")


def _epochs(
    program: Program, tensors: dict[str, Any], memory: dict[str, Any], x: Any, y: Array, training: Training
) -> None:
    import torch

    graph, trainable, step = program.graph, program.trainable, STEPS[program.optimizer]
    rows, target = rows_of(graph, x), torch.from_numpy(np.array(y))
    weight = None if training.weight is None else torch.from_numpy(np.asarray(training.weight, np.float32))
    for key in trainable:
        tensors[key].requires_grad_(True)
    batches = list(_batches(len(y), graph.batch, training))
    best = None if training.patience is None else BestEpoch[dict[str, Any]](training.patience)
    began, losses, per_epoch = time.monotonic(), [], max(1, -(-len(y) // _size(len(y), graph.batch, training)))
    for number, index in enumerate(batches, 1):
        at = torch.from_numpy(index)
        loss = _loss(
            graph, tensors, rows[at], target[at], None if weight is None else weight[at], bool(training.classes)
        )
        gradients = torch.autograd.grad(loss, [tensors[key] for key in trainable], allow_unused=True)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise BadData("The loss is no longer a number.", "Use a smaller learning_rate, or look for wild values.")
        with torch.no_grad():
            rate = _rate(training, number / len(batches))
            step(tensors, memory, trainable, gradients, rate, training.weight_decay or 0.0)
        if number % per_epoch == 0 or number == len(batches):
            heard = _epoch(-(-number // per_epoch), float(np.mean(losses)), graph, tensors, x, y, training)
            training.on_epoch(dataclasses.replace(heard, seconds=time.monotonic() - began))
            began, losses = time.monotonic(), []
            if best is not None and best.add_epoch(heard.validation_loss, lambda: _copy(tensors)):
                break
            if training.out_of_time():
                break
    if best is not None and best.state is not None:
        tensors.update(best.state)


def _copy(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.detach().clone() for key, value in tensors.items()}


def _size(n: int, fixed: int | None, training: Training) -> int:
    """32 below 4,096 rows, then growing with them to 128; an export for one number of rows has no choice."""
    return fixed or training.batch_size or (32 if n < 4096 else min(128, 32 * (n // 4096 + 1)))


def _batches(n: int, fixed: int | None, training: Training) -> Any:
    """Positions of the rows of each step: passes in random order, or rows drawn anew for each step."""
    random, size = np.random.default_rng(training.seed), _size(n, fixed, training)
    if training.steps is not None or training.sampling is not None:
        chance = None if training.sampling is None else training.sampling / np.sum(training.sampling)
        for _ in range(training.steps or (training.epochs or EPOCHS) * -(-n // size)):
            yield random.choice(n, size if fixed else min(size, n), p=chance)
        return
    for _ in range(training.epochs or EPOCHS):
        order = random.permutation(n)
        parts = -(-n // size)
        # Batches of nearly one size: a last one of a single row would have no batch statistics.
        yield from np.resize(order, parts * size).reshape(parts, size) if fixed else np.array_split(order, parts)


def _rate(training: Training, passed: float) -> float:
    rate = RATE if training.learning_rate is None else training.learning_rate
    return rate * min(1.0, 2.0 * (1.0 - passed)) if training.decay else rate


def _loss(graph: Graph, tensors: Mapping[str, Any], x: Any, y: Any, weight: Any, classify: bool) -> Any:
    import torch.nn.functional as functional

    activation, before = graph.last()
    if not classify:
        each = (run(graph, tensors, x, training=True).reshape(len(y)) - y.float()) ** 2
    else:
        logits = run(graph, tensors, x, training=True, until=before if activation else None)
        logits = logits.reshape(len(y), -1).float()
        if logits.shape[1] == 1:
            each = functional.binary_cross_entropy_with_logits(logits[:, 0], y.float(), reduction="none")
        else:
            each = functional.cross_entropy(logits, y.long(), reduction="none")
    return each.mean() if weight is None else (each * weight).mean()


def _epoch(
    number: int, loss: float, graph: Graph, tensors: Mapping[str, Any], x: Any, y: Array, training: Training
) -> Epoch:
    score = loss_and_score(graph, tensors, x[:LOOKED_AT], y[:LOOKED_AT], bool(training.classes))[1]
    if training.validation is None or not len(training.validation[1]):
        return Epoch(number, loss, score)
    return Epoch(number, loss, score, *loss_and_score(graph, tensors, *training.validation, bool(training.classes)))


def loss_and_score(graph: Graph, tensors: Mapping[str, Any], x: Any, y: Array, classify: bool) -> tuple[float, float]:
    """Log loss and accuracy, or mean squared error and R2."""
    given = predict(graph, tensors, x)
    if not classify:
        error = float(np.mean((given.reshape(len(y)) - y) ** 2))
        return error, 1.0 - error / (float(np.var(y)) or 1.0)
    p = probabilities(given.astype(np.float64), "probability" if graph.last()[0] else "logit")
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()), float((p.argmax(axis=1) == y).mean())


def fresh_tensors(program: Program) -> dict[str, Any]:
    """New parameters by their shapes, as the code that would know better is not there.

    Two axes and more: uniform within 1/sqrt(fan in), PyTorch's own default; embeddings normal; one axis: scales 1,
    biases 0. Running means 0, variances 1; other buffers (tables, masks) are data and stay.
    """
    import torch

    new_tensors = dict(program.tensors)
    graph = program.graph
    embedded = {graph.bound.get(n.reads()[0]) for n in graph.nodes if n.short == "embedding"}
    for key in program.trainable:
        old = program.tensors[key]
        if key in embedded:
            new_tensors[key] = torch.randn_like(old)
        elif old.dim() >= 2:
            bound = 1.0 / math.sqrt(max(1, old[0].numel()))
            new_tensors[key] = torch.empty_like(old).uniform_(-bound, bound)
        else:
            new_tensors[key] = torch.ones_like(old) if key.endswith("weight") else torch.zeros_like(old)
    for key, old in program.tensors.items():
        if key.endswith(("running_mean", "num_batches_tracked")):
            new_tensors[key] = torch.zeros_like(old)
        elif key.endswith("running_var"):
            new_tensors[key] = torch.ones_like(old)
    return new_tensors
