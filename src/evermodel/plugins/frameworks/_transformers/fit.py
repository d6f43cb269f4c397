"""Trains the part of a classifier that may change: its adapter and head, its head alone, or all of it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks._transformers.batch_statistics import estimate_statistics, find_norms
from evermodel.plugins.frameworks._transformers.classification_head import (
    copy_with_head,
    find_head,
    raise_new_outputs,
    read_head,
    redraw_head,
)
from evermodel.plugins.frameworks._transformers.classifier import Classifier
from evermodel.plugins.frameworks._transformers.folder_check import read_labels
from evermodel.plugins.frameworks._transformers.low_rank import adapter_parameters, put_adapter
from evermodel.plugins.frameworks._transformers.predict import compute_scores, score_rows
from evermodel.plugins.frameworks._transformers.training_loop import train_network

EPOCHS = 5
BATCH = 16
RATES = {TrainablePart.ADAPTER: 1e-3, TrainablePart.HEAD: 5e-3, TrainablePart.ALL: 1e-4}
CONVOLUTIONAL = 5e-4  # of all weights, where batches are normalised (bench/traffic_signs.py)
HEAD_FASTER = 10.0  # of all weights: a head with new labels has far to go, and the layers little
MEASURED = 1_024  # training rows by which batch normalisation learns its means and variances in the end
LOOKED_AT = 512  # training rows on which the score of an epoch is taken


def fit(model: Classifier, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Classifier:
    """A new classifier. ``from_scratch`` begins with a new head and a new adapter on the pretrained network.

    The same seed gives the same bits on the same machine. Raises BadSetting for more classes than outputs, BadData
    where the loss is no longer a number.
    """
    import torch

    _check(model, training, from_scratch=from_scratch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = _start(model, training.seed, from_scratch=from_scratch)
        if training.classes:
            raise_new_outputs(network, np.unique(y).tolist())
        _choose(network, model.part)
        objective = ClassifierObjective(network, model, x, y, training)
        train_network(
            network,
            _group(network, model.part),
            _usual_rate(network, model.part) if training.learning_rate is None else training.learning_rate,
            model.reader.measure(objective.rows),
            objective,
            training,
            batch=BATCH,
            epochs=EPOCHS,
        )
        if model.part is TrainablePart.ALL:
            estimate_statistics(network, objective.spread_batches())
    labels = _name_labels(model, training.classes) or model.labels or None
    if model.part is TrainablePart.ALL:
        whole = network.eval().requires_grad_(False)
        config = dataclasses.replace(model, labels=labels).full_config()
        return dataclasses.replace(
            model, config=config, pretrained=whole, files=(), files_are_kept=False, trained={}, labels=labels
        )
    adapter = {name: tensor.detach().clone() for name, tensor in adapter_parameters(network).items()}
    return dataclasses.replace(model, trained={**adapter, **read_head(network)}, labels=labels)


def _check(model: Classifier, training: Training, *, from_scratch: bool) -> None:
    if len(training.classes) > max(model.outputs, 2) or (training.classes and model.is_regression):
        raise BadSetting(
            f"The head has {model.outputs} outputs for {len(training.classes)} classes.",
            "Name the new ones with --new-class.",
        )
    if not training.classes and not model.is_regression:
        raise BadSetting(f"A number needs a head with one output. This one has {model.outputs}.")
    if from_scratch and model.part is TrainablePart.ALL:
        raise BadSetting(
            "From scratch, all weights of a pretrained network would be drawn anew, and what it knew of language lost.",
            "Use the strategy full, which goes on from them, or lora.",
        )


def _usual_rate(network: Any, part: TrainablePart) -> float:
    """All weights of a network that normalises batches bear larger steps than those of a transformer."""
    return CONVOLUTIONAL if part is TrainablePart.ALL and find_norms(network) else RATES[part]


def _name_labels(model: Classifier, classes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The labels in the order of the outputs: names that the folder gave, where the rows hold their numbers."""
    names = read_labels(dict(model.config))
    if names is None or classes != tuple(range(len(classes))) or any(name.isdecimal() for name in names):
        return classes
    return (*names, *map(str, classes[len(names) :]))


def _start(model: Classifier, seed: int, *, from_scratch: bool) -> Any:
    """A network of one's own, as the training begins."""
    if model.part is TrainablePart.ALL:
        return copy.deepcopy(model.network)
    trained = model.trained
    network = copy_with_head(model.pretrained, trained)
    if from_scratch:
        redraw_head(network, seed)
        trained = {}
    if model.part is TrainablePart.ADAPTER or adapter_names(trained):
        put_adapter(network, model.rank, trained)
    return network


def adapter_names(trained: Any) -> list[str]:
    return [name for name in trained if ".lora_" in name]


def _choose(network: Any, part: TrainablePart) -> None:
    """Of all parameters that the training does not change, no gradient is computed."""
    network.requires_grad_(part is TrainablePart.ALL)
    if part is not TrainablePart.ALL:
        names = set(find_head(network).names)
        chosen = [tensor for name, tensor in network.named_parameters() if name in names]
        chosen += adapter_parameters(network).values() if part is TrainablePart.ADAPTER else ()
        for tensor in chosen:
            tensor.requires_grad_(True)


def _group(network: Any, part: TrainablePart) -> list[dict[str, Any]]:
    """The parameters that are trained, those of the head apart, which learns faster where all weights are trained."""
    names = set(find_head(network).names)
    trained = [(name in names, tensor) for name, tensor in network.named_parameters() if tensor.requires_grad]
    faster = HEAD_FASTER if part is TrainablePart.ALL else 1.0
    groups = [(faster, [t for head, t in trained if head]), (1.0, [t for head, t in trained if not head])]
    return [{"params": tensors, "faster": times} for times, tensors in groups if tensors]


class ClassifierObjective:
    """The loss of the head's scores against labels or values, and log loss with accuracy or squared error with R2."""

    def __init__(self, network: Any, model: Classifier, x: Any, y: Array, training: Training) -> None:
        import torch

        self.network, self.model, self.y, self.training = network, model, y, training
        self.rows, self.classify = model.reader.read(x), bool(training.classes)
        self.random = np.random.default_rng(training.seed)
        target = torch.from_numpy(np.array(y))
        self.target = target.long() if self.classify else target.float()
        weight = training.weight
        self.weight = None if weight is None else torch.from_numpy(np.asarray(weight, np.float32))

    def compute_loss(self, at: Array) -> Any:
        """The mean loss of the rows ``at``."""
        import torch.nn.functional as functional

        scores = compute_scores(
            self.network, self.model.reader.batch_varied([self.rows[i] for i in at], self.random)
        ).float()
        if self.classify:
            each = functional.cross_entropy(scores, self.target[at], reduction="none")
        else:
            each = (scores.reshape(len(at)) - self.target[at]) ** 2
        return each.mean() if self.weight is None else (each * self.weight[at]).mean()

    def spread_batches(self) -> Iterator[dict[str, Any]]:
        """Some rows that were trained on, drawn evenly, as they are; none of one row, which has no variance."""
        drawn = self.random.permutation(len(self.rows))[:MEASURED]
        for at in np.array_split(drawn, max(1, len(drawn) // BATCH)):
            yield self.model.reader.batch([self.rows[i] for i in at])

    def measure_training(self) -> float:
        return self._loss_and_score(self.rows[:LOOKED_AT], self.y[:LOOKED_AT])[1]

    def measure_validation(self) -> tuple[float | None, float | None]:
        if self.training.validation is None or not len(self.training.validation[1]):
            return None, None
        watched = self.model.reader.read(self.training.validation[0])
        return self._loss_and_score(watched, self.training.validation[1])

    def _loss_and_score(self, rows: Sequence[Any], y: Array) -> tuple[float, float]:
        """Log loss and accuracy, or mean squared error and R2."""
        scores = score_rows(self.network, self.model.reader, rows, self.model.outputs).astype(np.float64)
        if not self.classify:
            error = float(np.mean((scores[:, 0] - y) ** 2))
            return error, 1.0 - error / (float(np.var(y)) or 1.0)
        return measure_log_scores(scores, y)


def measure_log_scores(scores: Array, y: Array) -> tuple[float, float]:
    """Log loss and accuracy of scores (n, k) before a softmax, for class codes (n,)."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(y)), y].mean()), float((scores.argmax(axis=1) == y).mean())
