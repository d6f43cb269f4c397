"""Trains for a given number of steps on rows drawn beforehand: the short phases that a blend is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evermodel.core.table import Array
from evermodel.core.training import Epoch, Training
from evermodel.frameworks._keras import copying, drawing, objective, optimizer, predicting

RunSteps = Callable[[Array, Array], float]  # rows (steps, batch), learning rates (steps,) -> mean loss
ADAPTIVE = ("Adam", "AdamW", "Nadam", "Adamax")  # a learning rate means the same to these
RATE = 1e-3
WATCHED = 5  # times that validation rows are looked at in one training


def asked(training: Training) -> bool:
    """Whether steps, sampling or decay are asked for, which plain epochs do not offer."""
    return training.steps is not None or training.sampling is not None or training.decay


def train(model: Any, x: Array, y: Array, classes: int, training: Training, epochs: int, batch: int) -> None:
    """Trains ``model``, compiled and with the weights to start from, in place; its optimizer starts and ends afresh.

    Adam, AdamW, Nadam and Adamax train with their own settings. Any other optimizer is stood in for by Adam, as a rate
    and its decay mean nothing without knowing the kind. Heard about once a pass; a deadline ends it between passes.
    """
    each = -(-drawing.pass_length(len(x), training.sampling) // batch)
    steps = training.steps if training.steps is not None else epochs * each
    rows = drawing.index(len(x), training.sampling, steps, batch, training.seed)
    rates = drawing.rates(training.learning_rate or optimizer.learning_rate(model) or RATE, steps, training.decay)
    weight = np.ones(len(x), np.float32) if training.weight is None else np.asarray(training.weight, np.float32)
    target = objective.target(model, y, classes)
    with _trainer(model, training.seed) as trainer:
        run = trainer.runner(x, target, weight)
        hear = _Listener(trainer.model, classes, training, -(-steps // each))
        for at in range(0, steps, each):
            if training.out_of_time():
                break
            hear(run(rows[at : at + each], rates[at : at + each]))


class _Listener:
    """Tells of each pass its loss, and some of them the loss and score on the validation rows: that costs as much."""

    def __init__(self, model: Any, classes: int, training: Training, passes: int) -> None:
        self.every = -(-passes // WATCHED)
        self.model, self.classes, self.training = model, classes, training
        self.number, self.began = 0, time.perf_counter()

    def __call__(self, loss: float) -> None:
        self.number += 1
        watched, score = None, None
        if self.training.validation is not None and self.number % self.every == 0:
            watched, score = self._validation()
        now = time.perf_counter()
        self.training.on_epoch(Epoch(self.number, loss, None, watched, score, now - self.began))
        self.began = now

    def _validation(self) -> tuple[float, float]:
        x, y = self.training.validation or (None, np.zeros(0))
        logit = objective.last_activation(self.model) not in ("sigmoid", "softmax")
        prediction = predicting.predict(self.model, x)
        loss = self.model.compute_loss(y=objective.target(self.model, y, self.classes), y_pred=prediction)
        return float(np.asarray(loss)), objective.score(prediction, y, self.classes, logit)


def _trainer(model: Any, seed: int) -> Any:
    import keras

    if keras.backend.backend() == "tensorflow" and plain_step(model):
        from evermodel.frameworks._keras import tensorflow_steps

        return tensorflow_steps.trainer(model, seed)
    return _StepByStep(model, seed)


def plain_step(model: Any) -> bool:
    """Whether training is what Keras itself does: no train_step of the user's own."""
    import keras

    return type(model).train_step is keras.Model.train_step and type(model).compute_loss is keras.Model.compute_loss


class _StepByStep:
    """The same steps by ``train_on_batch``: for other backends and for a training step of the user's own."""

    def __init__(self, model: Any, seed: int) -> None:
        self.model, self.dice = model, copying.own_dice(seed)

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
                losses.append(self.model.train_on_batch(x[index], y[index], weight[index], return_dict=True)["loss"])
            return float(np.mean(losses))

        return run


def working_optimizer(given: Any) -> Any:
    """A fresh optimizer of the given one's settings if its rates are Adam's, else Adam; its rate can be assigned."""
    import keras

    if type(given).__name__ not in ADAPTIVE:
        return keras.optimizers.Adam(RATE)
    return type(given).from_config({**given.get_config(), "learning_rate": RATE, "use_ema": False})


def compile_plainly(source: Any, target: Any) -> None:
    """Compiles for training alone: the loss and a working optimizer, no metrics."""
    config = source.get_compile_config() or {}
    target.compile(working_optimizer(source.optimizer), source.loss, loss_weights=config.get("loss_weights"))
    target.optimizer.build(target.trainable_variables)
