"""Trains a new model: epochs in one compiled graph on TensorFlow, Keras's own ``fit`` elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.training import BestEpoch, Training
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.frameworks._keras import feeding, heads
from evermodel.plugins.frameworks._keras import predict as predicting
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import fit_steps, objective

EPOCHS = 10
RunEpoch = Callable[[Array], float]  # order of the rows (n,) -> mean loss


def fit(obj: Any, x: Any, y: Array, training: Training, *, from_scratch: bool) -> Any:
    """A new model trained on x (n, …) and y (n,); see ``Framework.fit``. O(rows x epochs), or O(steps x batch)."""
    import keras

    classes = len(training.classes) or _classes(obj, y)
    model = _start(obj, training, from_scratch)
    if not getattr(model, "compiled", False):
        model.compile(keras.optimizers.Adam(), objective.default_loss(model, classes))
        model.optimizer.build(model.trainable_variables)
    inputs = feeding.prepare_rows(model, x)
    if fit_steps.draws_steps(training) and len(inputs):
        fit_steps.train(model, inputs, y, classes, training, training.epochs or EPOCHS, batch_size(training, len(x)))
        return model
    copy_model.remember(model)
    if training.learning_rate is not None:
        model.optimizer.learning_rate = training.learning_rate
    weight = None if training.weight is None else np.asarray(training.weight, dtype=np.float32)
    target = objective.target(model, y, classes)
    with _runner(model, inputs, target, weight, training) as run:
        _epochs(model, run, len(inputs), classes, training)
    return model


def _start(obj: Any, training: Training, from_scratch: bool) -> Any:
    """A copy to train: newly initialised, or with the same weights; a schedule leaves the optimizer's memory behind."""
    if not from_scratch and not fit_steps.draws_steps(training):
        return copy_model.copy(obj, training.seed)
    model = copy_model.clone(obj, training.seed)
    copy_model.compile_like(obj, model, build=not fit_steps.draws_steps(training))
    if not from_scratch:
        copy_model.set_weights(model, obj.get_weights())
    return model


def batch_size(training: Training, rows: int) -> int:
    """32 below 4,096 rows, then growing with them to 128: longer steps keep the cores busy."""
    return training.batch_size or (32 if rows < 4096 else min(128, 32 * (rows // 4096 + 1)))


def _classes(obj: Any, y: Array) -> int:
    """How many classes the codes y stand for when nobody said it; 0 for numbers."""
    needs = objective.signature(obj)
    return 0 if needs.task in ("regression", None) else max(int(np.max(y)) + 1, 2) if len(y) else 2


def _epochs(model: Any, run: RunEpoch, rows: int, classes: int, training: Training) -> None:
    order = np.random.default_rng(training.seed)
    logit = objective.last_activation(model) not in ("sigmoid", "softmax")
    best = None if training.patience is None else BestEpoch[list[Array]](training.patience)
    for number in range(1, (training.epochs or EPOCHS) + 1):
        if training.out_of_time():
            break
        start = time.perf_counter()
        loss = run(order.permutation(rows))
        validation_loss = validation_score = None
        if training.validation is not None:
            x, y = training.validation
            prediction = predicting.predict(model, x)
            validation_loss = _loss(model, prediction, objective.target(model, y, classes))
            validation_score = objective.score(prediction, y, classes, logit)
        seconds = time.perf_counter() - start
        training.on_epoch(Epoch(number, loss, None, validation_loss, validation_score, seconds))
        if best is not None and best.add_epoch(validation_loss, model.get_weights):
            break
    if best is not None and best.state is not None:
        copy_model.set_weights(model, best.state)


def _loss(model: Any, prediction: Array, target: Array) -> float:
    y, y_pred = heads.cut_targets(model, target), heads.cut_answers(model, prediction)
    return float(np.asarray(model.compute_loss(y=y, y_pred=y_pred)))


@contextmanager
def _runner(model: Any, x: Array, y: Array, weight: Array | None, training: Training) -> Iterator[RunEpoch]:
    import keras

    batch = batch_size(training, len(x))
    if keras.backend.backend() == "tensorflow" and fit_steps.plain_step(model):
        from evermodel.plugins.frameworks._keras.training import tensorflow_epoch

        with tensorflow_epoch.runner(model, x, y, weight, batch) as run:
            yield run
        return

    def keras_fit(order: Array) -> float:
        own = None if weight is None else weight[order]
        options = {"batch_size": batch, "epochs": 1, "shuffle": False, "verbose": 0, "sample_weight": own}
        history = model.fit(feeding.cut_rows(model, x[order]), heads.cut_targets(model, y[order]), **options)
        return float(history.history["loss"][0])

    with copy_model.own_dice(training.seed):
        yield keras_fit
