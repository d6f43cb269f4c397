"""One whole epoch as one TensorFlow graph over rows in memory: no Python between the steps.

Tracing the graph takes longer than training a small network for some epochs, so a traced graph and the model it
belongs to (its *bench*) are kept for the next training of the same structure: parameters are carried there and back.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._keras import feeding, heads
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.reading import builtin_classes
from evermodel.plugins.frameworks._keras.training import structure_key

_KEPT = 8  # benches at most
_LARGEST = 2_000_000  # parameters of a model that gets one: about 32 MB with its optimizer's memory


@dataclass(frozen=True)
class _Bench:
    model: Any
    graph: Any  # (data, order, batch) -> sum of losses over the rows


_benches: OrderedDict[str, _Bench] = OrderedDict()


@contextmanager
def runner(model: Any, x: Array, y: Array, weight: Array | None, batch: int) -> Iterator[Callable[[Array], float]]:
    """Gives a function that trains ``model`` one epoch over the rows in a given order and returns the mean loss.

    The steps are those of ``keras.Model.fit``: same loss with its regularisation, same gradients, same optimizer, the
    last batch smaller. The rows are copied to TensorFlow once.
    """
    import tensorflow as tf

    data = tuple(tf.constant(d) for d in (x, y, weight) if d is not None)
    key = _key(model, data)
    bench = _benches.pop(key, None) if key else None  # taken out: two threads never share one
    if bench is None:
        own = copy_model.copy(model) if key else model
        bench = _Bench(own, _graph(own, data))
    _carry(model, bench.model)

    def run(order: Array) -> float:
        total = float(bench.graph(data, tf.constant(order, dtype=tf.int32), tf.constant(batch)))
        _carry(bench.model, model)
        return total / max(len(x), 1)

    try:
        yield run
    finally:
        if key:
            _benches[key] = bench
            while len(_benches) > _KEPT:
                _benches.popitem(last=False)


def _state(model: Any) -> list[Any]:
    """Everything that training changes: parameters, counts, seeds, the optimizer's memory and its learning rate."""
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def _carry(source: Any, target: Any) -> None:
    if source is not target:
        for new, old in zip(_state(target), _state(source), strict=True):
            new.assign(old)


def _key(model: Any, data: tuple[Any, ...]) -> str:
    """One graph serves all models of one key: same structure, loss and optimizer, all built in. "" where unsure."""
    from evermodel.plugins.frameworks._keras.training.objective import loss_name

    parts = [*model._flatten_layers(), model.optimizer]
    listed = (
        builtin_classes.LAYERS
        | builtin_classes.OPTIMIZERS
        | builtin_classes.NUMPY_OPERATIONS
        | builtin_classes.NN_OPERATIONS
        | set(builtin_classes.MODELS)
    )
    plain = all(type(p).__name__ in listed and type(p).__module__.startswith("keras.") for p in parts)
    built_in = isinstance(model.loss, str) or type(model.loss).__module__.startswith("keras.src.losses")
    if not plain or not built_in or loss_name(model) is None or model.count_params() > _LARGEST:
        return ""
    loss = model.loss if isinstance(model.loss, str) else [type(model.loss).__name__, model.loss.get_config()]
    optimizer = model.optimizer.get_config()
    if isinstance(optimizer["learning_rate"], float):
        optimizer.pop("learning_rate")  # a variable, carried along
    shapes = [[str(d.dtype), *d.shape[1:]] for d in data]
    weights = (model.get_compile_config() or {}).get("loss_weights")
    frozen = [layer.trainable for layer in model._flatten_layers()]
    key_parts = [model.get_config(), loss, type(model.optimizer).__name__, optimizer, shapes, weights, frozen]
    return json.dumps(key_parts, default=str) + structure_key.normalisation(model)


def _graph(model: Any, data: tuple[Any, ...]) -> Any:
    import tensorflow as tf

    trainable, optimizer = list(model.trainable_variables), model.optimizer

    def step(part: list[Any]) -> Any:
        with tf.GradientTape() as tape:
            prediction = heads.keep_structure(model, model(feeding.cut_rows(model, part[0]), training=True))
            weight = part[2] if len(part) > 2 else None
            loss = model.compute_loss(
                x=part[0], y=heads.cut_targets(model, part[1]), y_pred=prediction, sample_weight=weight
            )
            scaled = optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(tape.gradient(scaled, trainable), trainable, strict=True))
        return loss

    def epoch(rows: tuple[Any, ...], order: Any, batch: Any) -> Any:
        steps = (tf.shape(order)[0] + batch - 1) // batch

        def body(at: Any, total: Any) -> tuple[Any, Any]:
            index = order[at * batch : (at + 1) * batch]
            loss = tf.cast(step([tf.gather(d, index) for d in rows]), tf.float32)
            return at + 1, total + loss * tf.cast(tf.shape(index)[0], tf.float32)

        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda at, _: at < steps, body, start, parallel_iterations=1)[1]

    rows = tuple(tf.TensorSpec([None, *d.shape[1:]], d.dtype) for d in data)
    signature = [rows, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)]
    return tf.function(epoch, input_signature=signature, autograph=False)
