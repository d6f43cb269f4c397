"""Trains for a given number of steps on rows drawn beforehand: the short phases that a blend is made of."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.training import BestEpoch, Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks._keras import feeding, heads
from evermodel.plugins.frameworks._keras import predict as predicting
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import draw_rows, objective, optimizer_state
from evermodel.plugins.frameworks._keras.training.working_optimizer import RATE, RunSteps, working_optimizer

WATCHED = 5  # times that validation rows are looked at in one training


def draws_steps(training: Training) -> bool:
    """Whether steps, sampling or decay are asked for, which plain epochs do not offer."""
    return training.steps is not None or training.sampling is not None or training.decay


def train(model: Any, x: Array, y: Array, classes: int, training: Training, epochs: int, batch: int) -> None:
    """Trains ``model``, compiled and with the weights to start from, in place; its optimizer starts and ends afresh.

    Adam, AdamW, Nadam and Adamax train with their own settings. Any other optimizer is stood in for by Adam, as a rate
    and its decay mean nothing without knowing the kind. Heard about once a pass; a deadline ends it between passes.
    """
    each = -(-draw_rows.pass_length(len(x), training.sampling) // batch)
    steps = training.steps if training.steps is not None else epochs * each
    rows = draw_rows.index(len(x), training.sampling, steps, batch, training.seed)
    rates = draw_rows.rates(
        training.learning_rate or optimizer_state.learning_rate(model) or RATE, steps, training.decay
    )
    weight = np.ones(len(x), np.float32) if training.weight is None else np.asarray(training.weight, np.float32)
    target = objective.target(model, y, classes)
    with _trainer(model, training.seed) as trainer:
        run = trainer.runner(x, target, weight)
        hear = _Listener(trainer.model, classes, training, -(-steps // each))
        for at in range(0, steps, each):
            if training.out_of_time():
                break
            if hear(run(rows[at : at + each], rates[at : at + each])):
                break
        best = hear.best.state if hear.best is not None else None
    if best is not None:
        copy_model.set_weights(model, best)


class _Listener:
    """Tells of each pass its loss, and some of them the loss and score on the validation rows: that costs as much."""

    def __init__(self, model: Any, classes: int, training: Training, passes: int) -> None:
        self.best = None if training.patience is None else BestEpoch[list[Array]](training.patience)
        self.every = 1 if self.best is not None else -(-passes // WATCHED)
        self.model, self.classes, self.training = model, classes, training
        self.number, self.began = 0, time.perf_counter()

    def __call__(self, loss: float) -> bool:
        """True where the training is to stop early."""
        self.number += 1
        watched, score = None, None
        if self.training.validation is not None and self.number % self.every == 0:
            watched, score = self._validation()
        now = time.perf_counter()
        self.training.on_epoch(Epoch(self.number, loss, None, watched, score, now - self.began))
        self.began = now
        return self.best is not None and self.best.add_epoch(watched, self.model.get_weights)

    def _validation(self) -> tuple[float, float | None]:
        x, y = self.training.validation or (None, np.zeros(0))
        logit = objective.last_activation(self.model) not in ("sigmoid", "softmax")
        prediction = predicting.predict(self.model, x)
        target = heads.cut_targets(self.model, objective.target(self.model, y, self.classes))
        loss = self.model.compute_loss(y=target, y_pred=heads.cut_answers(self.model, prediction))
        return float(np.asarray(loss)), objective.score(prediction, y, self.classes, logit)


def _trainer(model: Any, seed: int) -> Any:
    import keras

    if keras.backend.backend() == "tensorflow" and plain_step(model):
        from evermodel.plugins.frameworks._keras.training import tensorflow_steps

        return tensorflow_steps.trainer(model, seed)
    return _StepByStep(model, seed)


def plain_step(model: Any) -> bool:
    """Whether training is what Keras itself does: no train_step of the user's own."""
    import keras

    return type(model).train_step is keras.Model.train_step and type(model).compute_loss is keras.Model.compute_loss


class _StepByStep:
    """The same steps by ``train_on_batch``: for other backends and for a training step of the user's own."""

    def __init__(self, model: Any, seed: int) -> None:
        self.model, self.dice = model, copy_model.own_dice(seed)

    def __enter__(self) -> _StepByStep:
        self.dice.__enter__()
        self.as_before = self.model.optimizer
        self.model.optimizer = working_optimizer(self.as_before)
        self.model.optimizer.build(self.model.trainable_variables)
        return self

    def __exit__(self, *raised: Any) -> None:
        self.model.optimizer = self.as_before
        self.dice.__exit__(*raised)

    def runner(self, x: Array, y: Array, weight: Array) -> RunSteps:
        def run(rows: Array, rates: Array) -> float:
            losses = []
            for index, rate in zip(rows, rates, strict=True):
                self.model.optimizer.learning_rate = float(rate)
                fed = feeding.cut_rows(self.model, x[index])
                losses.append(
                    self.model.train_on_batch(
                        fed, heads.cut_targets(self.model, y[index]), weight[index], return_dict=True
                    )["loss"]
                )
            return float(np.mean(losses))

        return run
