"""One whole epoch as one TensorFlow graph over rows in memory: no Python between the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evermodel.core.table import Array


def runner(model: Any, x: Array, y: Array, weight: Array | None, batch: int) -> Callable[[Array], float]:
    """A function that trains one epoch over the rows in a given order and returns the mean loss.

    The steps are those of ``keras.Model.fit``: same loss with its regularisation, same gradients, same optimizer, the
    last batch smaller. Traced once; the rows are copied to TensorFlow once.
    """
    import tensorflow as tf

    rows = len(x)
    steps = -(-rows // batch)
    data = [tf.constant(x), tf.constant(y)]
    if weight is not None:
        data.append(tf.constant(weight))
    trainable = list(model.trainable_variables)
    optimizer = model.optimizer

    def step(part: list[Any]) -> Any:
        with tf.GradientTape() as tape:
            prediction = model(part[0], training=True)
            loss = model.compute_loss(
                x=part[0], y=part[1], y_pred=prediction, sample_weight=part[2] if len(part) > 2 else None
            )
            scaled = optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(tape.gradient(scaled, trainable), trainable, strict=True))
        return loss

    def epoch(order: Any) -> Any:
        def body(at: Any, total: Any) -> tuple[Any, Any]:
            index = order[at * batch : (at + 1) * batch]
            part = [tf.gather(d, index) for d in data]
            for tensor, whole in zip(part, data, strict=True):
                tensor.set_shape([None, *whole.shape[1:]])
            loss = tf.cast(step(part), tf.float32)
            return at + 1, total + loss * tf.cast(tf.shape(index)[0], tf.float32)

        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda at, _: at < steps, body, start, parallel_iterations=1)[1]

    graph = tf.function(epoch, autograph=False)

    def run(order: Array) -> float:
        return float(graph(tf.constant(order, dtype=tf.int32))) / max(rows, 1)

    return run if rows else lambda order: float(np.nan)
