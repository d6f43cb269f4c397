"""Many training steps as one TensorFlow graph, traced once for all networks of one structure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._keras import feeding, heads
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import objective, structure_key
from evermodel.plugins.frameworks._keras.training.working_optimizer import RunSteps, compile_plainly

KEPT = 2  # structures whose compiled graph stays in memory
_workers: OrderedDict[str, _Worker] = OrderedDict()
_guard = threading.Lock()


class _Worker:
    """A network of one structure that lends its compiled graph: weights go in, are trained, and come out."""

    def __init__(self, like: Any) -> None:
        self.model = copy_model.clone(like)
        compile_plainly(like, self.model)
        self.loss = like.loss  # kept alive: the structure's key may hold its id
        self.lock = threading.Lock()
        self.fresh = [np.array(v.numpy()) for v in self.model.optimizer.variables]
        self.graph = _graph(self.model)

    def start(self, weights: list[Array], seed: int) -> None:
        """As a new model with these weights: the optimizer fresh, dropout drawn from ``seed``."""
        self.model.set_weights(weights)
        for variable, value in zip(self.model.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        random = np.random.default_rng(seed)
        for variable in self.model.variables:
            if "seed_generator" in variable.path:
                variable.assign(random.integers(0, 1 << 31, variable.shape).astype(variable.dtype))


class _Lent:
    """A worker lent to one training; gives the trained weights to ``model`` at the end."""

    def __init__(self, worker: _Worker, target: Any, seed: int) -> None:
        self.worker, self.model, self.target, self.seed = worker, worker.model, target, seed

    def __enter__(self) -> _Lent:
        self.worker.lock.acquire()
        self.worker.start(self.target.get_weights(), self.seed)
        return self

    def __exit__(self, *_: Any) -> None:
        self.target.set_weights(self.model.get_weights())
        self.worker.lock.release()

    def runner(self, x: Array, y: Array, weight: Array) -> RunSteps:
        import tensorflow as tf

        data = tf.constant(x), tf.constant(y), tf.constant(weight)

        def run(rows: Array, rates: Array) -> float:
            return float(self.worker.graph(*data, tf.constant(rows), tf.constant(rates))) / max(len(rows), 1)

        return run


def trainer(model: Any, seed: int) -> _Lent:
    """A worker of the model's structure, made and traced if there is none."""
    key = structure_key.of_training(model)
    with _guard:
        worker = _workers.pop(key, None) or _Worker(model)
        _workers[key] = worker
        while len(_workers) > KEPT:
            _workers.popitem(last=False)
    return _Lent(worker, model, seed)


def _graph(model: Any) -> Any:
    """(rows (n, …), targets, weights (n,), index (steps, batch), rates (steps,)) -> sum of the steps' losses."""
    import tensorflow as tf

    trainable, optimizer = list(model.trainable_variables), model.optimizer

    def step(x: Any, y: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            prediction = model(feeding.cut_rows(model, x), training=True)
            loss = model.compute_loss(x=x, y=heads.cut_targets(model, y), y_pred=prediction, sample_weight=weight)
        optimizer.apply_gradients(zip(tape.gradient(loss, trainable), trainable, strict=True))
        return tf.cast(loss, tf.float32)

    def steps(x: Any, y: Any, weight: Any, index: Any, rates: Any) -> Any:
        def body(at: Any, total: Any) -> tuple[Any, Any]:
            optimizer.learning_rate.assign(rates[at])
            return at + 1, total + step(*(tf.gather(part, index[at]) for part in (x, y, weight)))

        count = tf.shape(index)[0]
        return tf.while_loop(lambda at, _: at < count, body, (0, 0.0), parallel_iterations=1)[1]

    target = _describe_target(model)
    rest = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)
    x = tf.TensorSpec(*feeding.get_row_spec(model))
    return tf.function(steps, input_signature=[x, target, *rest], autograph=False)


def _describe_target(model: Any) -> Any:
    import tensorflow as tf

    if heads.has_several(model):
        return tf.TensorSpec([None, heads.count_targets(model)], tf.float32)
    kind = objective.target_kind(model)
    width = 1 if kind == "one" else objective.single_output(model)
    return tf.TensorSpec([None], tf.int32) if kind == "sparse" else tf.TensorSpec([None, width], tf.float32)
