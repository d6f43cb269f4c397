"""Trains a language model's adapter, or all its weights, to answer texts with their labels or with given texts."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.training import Training
from evermodel.plugins.frameworks._causal.answer_loss import compute_token_losses, measure_answer_losses
from evermodel.plugins.frameworks._causal.answer_scores import score_prompts
from evermodel.plugins.frameworks._causal.language_model import LanguageModel
from evermodel.plugins.frameworks._transformers.fit import measure_log_scores
from evermodel.plugins.frameworks._transformers.input_readers import read_texts
from evermodel.plugins.frameworks._transformers.low_rank import adapter_parameters, put_adapter
from evermodel.plugins.frameworks._transformers.training_loop import train_network

EPOCHS = 3
BATCH = 16
RATES = {TrainablePart.ADAPTER: 5e-4, TrainablePart.ALL: 5e-5}
LOOKED_AT = 16  # training texts on which the score of an epoch is taken: each costs a pass, for labels one for all


def fit(model: LanguageModel, x: Any, y: Array, training: Training, *, from_scratch: bool) -> LanguageModel:
    """A new language model. ``from_scratch`` begins with a new adapter on the pretrained network.

    The loss is that of the answer's tokens alone, the mean over the rows. The same seed gives the same bits on the same
    machine. Raises BadSetting for values instead of labels, BadData where the loss is no longer a number.
    """
    import torch

    if not training.classes and model.writing is None:
        raise BadSetting("A language model answers with labels, and the target holds numbers.")
    if from_scratch and model.part is TrainablePart.ALL:
        raise BadSetting(
            "From scratch, all weights of a pretrained network would be drawn anew, and what it knew of language lost.",
            "Use the strategy full, which goes on from them, or lora.",
        )
    named = model if model.writing is not None else dataclasses.replace(model, labels=training.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        if model.part is TrainablePart.ALL:
            network = copy.deepcopy(model.network).requires_grad_(True)
            chosen = list(network.parameters())
        else:
            network = copy.deepcopy(model.pretrained).requires_grad_(False)
            put_adapter(network, model.rank, {} if from_scratch else model.trained)
            chosen = list(adapter_parameters(network).values())
            for tensor in chosen:
                tensor.requires_grad_(True)
        objective: AnswerObjective | TextObjective
        if model.writing is None:
            objective = AnswerObjective(network, named, read_texts(x), y, training)
        else:
            objective = TextObjective(network, named, read_texts(x), y, training)
        rate = RATES[model.part] if training.learning_rate is None else training.learning_rate
        lengths = [len(one) for one in objective.prompts]
        if isinstance(objective, TextObjective):
            lengths = [n + len(one) for n, one in zip(lengths, objective.answers, strict=True)]
        groups = [{"params": chosen, "faster": 1.0}]
        train_network(network, groups, rate, lengths, objective, training, batch=BATCH, epochs=EPOCHS)
    if model.part is TrainablePart.ALL:
        whole = network.eval().requires_grad_(False)
        return dataclasses.replace(named, pretrained=whole, files=(), files_are_kept=False, trained={})
    adapter = {name: tensor.detach().clone() for name, tensor in adapter_parameters(network).items()}
    return dataclasses.replace(named, trained=adapter)


class AnswerObjective:
    """The loss of the right answer's tokens, and log loss with accuracy over all labels."""

    def __init__(
        self, network: Any, model: LanguageModel, texts: Sequence[str | None], y: Array, training: Training
    ) -> None:
        self.network, self.model, self.y, self.training = network, model, y, training
        self.texts, self.prompts = list(texts), model.encode_prompts(list(texts))
        self.weight = None if training.weight is None else np.asarray(training.weight, np.float32)

    def compute_loss(self, at: Array) -> Any:
        """The mean over the rows ``at`` of the mean loss of their answer's tokens."""
        import torch

        answers = [self.model.answers[self.y[row]] for row in at]
        nats, _ = compute_token_losses(
            self.network, [self.prompts[row] for row in at], answers, self.model.tokens.padding
        )
        each = nats.sum(dim=1) / torch.tensor([len(answer) for answer in answers])
        return each.mean() if self.weight is None else (each * torch.from_numpy(self.weight[at])).mean()

    def measure_training(self) -> float:
        return self._loss_and_score(self.texts[:LOOKED_AT], self.y[:LOOKED_AT])[1]

    def measure_validation(self) -> tuple[float | None, float | None]:
        if self.training.validation is None or not len(self.training.validation[1]):
            return None, None
        x, y = self.training.validation
        return self._loss_and_score(read_texts(x), y)

    def _loss_and_score(self, texts: Sequence[str | None], y: Array) -> tuple[float, float]:
        prompts = self.model.encode_prompts(list(texts))
        model = self.model
        scores = score_prompts(self.network, prompts, model.answers, model.tokens.padding, packed=model.packed)
        return measure_log_scores(scores.astype(np.float64), y)


class TextObjective:
    """The loss of the tokens of given answers, all alike, and the share of them that are the likeliest there."""

    def __init__(
        self, network: Any, model: LanguageModel, texts: Sequence[str | None], y: Array, training: Training
    ) -> None:
        self.network, self.model, self.training = network, model, training
        self.prompts = model.encode_prompts(list(texts))
        self.answers = model.fit_answers(self.prompts, [str(text) for text in y])
        self.weight = None if training.weight is None else np.asarray(training.weight, np.float32)

    def compute_loss(self, at: Array) -> Any:
        """The mean over the tokens of the answers to the rows ``at``."""
        import torch

        answers = [self.answers[row] for row in at]
        nats, _ = compute_token_losses(
            self.network, [self.prompts[row] for row in at], answers, self.model.tokens.padding
        )
        each, lengths = nats.sum(dim=1), torch.tensor([float(len(answer)) for answer in answers])
        if self.weight is None:
            return each.sum() / lengths.sum()
        weight = torch.from_numpy(self.weight[at])
        return (each * weight).sum() / (lengths * weight).sum().clamp(min=1e-12)

    def measure_training(self) -> float:
        return self._loss_and_score(self.prompts[:LOOKED_AT], self.answers[:LOOKED_AT])[1]

    def measure_validation(self) -> tuple[float | None, float | None]:
        if self.training.validation is None or not len(self.training.validation[1]):
            return None, None
        x, y = self.training.validation
        prompts = self.model.encode_prompts(read_texts(x))
        return self._loss_and_score(prompts, self.model.fit_answers(prompts, [str(text) for text in y]))

    def _loss_and_score(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> tuple[float, float]:
        nats, tokens, right = measure_answer_losses(self.network, prompts, answers, self.model.tokens.padding).sum(
            axis=0
        )
        return float(nats / max(tokens, 1.0)), float(right / max(tokens, 1.0))
