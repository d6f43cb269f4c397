"""How a network's raw output moves with its input: the gradient at the rows, the parameters standing still."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._keras import feeding

_graphs: weakref.WeakKeyDictionary[Any, Callable[[Any, Any], Any]] = weakref.WeakKeyDictionary()


def input_gradient(obj: Any, x: Any, direction: Array) -> Array:
    """The gradient of (direction * raw output).sum() by x (n, …), with ``direction`` like the raw output (n, k)."""
    import keras

    ways: dict[str, Callable[..., Array]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
    rows = feeding.prepare_rows(obj, x)
    along = np.ascontiguousarray(direction, dtype=np.float32).reshape(len(rows), -1)
    return np.asarray(ways[keras.backend.backend()](obj, rows, along), dtype=np.float64)


def _raw(obj: Any, rows: Any) -> Any:
    import keras

    found = keras.tree.flatten(obj(feeding.cut_rows(obj, rows), training=False))[0]
    return keras.ops.reshape(found, (keras.ops.shape(found)[0], -1))


def _tensorflow(obj: Any, rows: Array, along: Array) -> Array:
    import tensorflow as tf

    if obj not in _graphs:
        _graphs[obj] = _graph(obj)
    return np.asarray(_graphs[obj](tf.constant(rows), tf.constant(along)))


def _graph(obj: Any) -> Callable[[Any, Any], Any]:
    """The gradient as one graph for any number of rows; holds the model weakly, so that it can be freed."""
    import tensorflow as tf

    weak = weakref.ref(obj)

    def pull_gradient(part: Any, along: Any) -> Any:
        model = weak()
        if model is None:
            raise ReferenceError("the model is gone")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(part)
            raw = _raw(model, part)
        zero = tf.UnconnectedGradients.ZERO  # of whole numbers alone
        return tape.gradient(raw, part, output_gradients=along, unconnected_gradients=zero)

    input_spec = tf.TensorSpec(*feeding.get_row_spec(obj))
    signature = [input_spec, tf.TensorSpec((None, None), tf.float32)]
    return tf.function(pull_gradient, input_signature=signature, autograph=False)  # type: ignore[no-any-return]


def _torch(obj: Any, rows: Array, along: Array) -> Array:
    import keras
    import torch

    part = keras.ops.convert_to_tensor(rows).detach().requires_grad_()
    raw = _raw(obj, part)
    (found,) = torch.autograd.grad(raw, part, torch.as_tensor(along, device=raw.device))
    return np.asarray(found.detach().cpu().numpy())


def _jax(obj: Any, rows: Array, along: Array) -> Array:
    import jax

    _, pull = jax.vjp(lambda part: _raw(obj, part), rows)
    return np.asarray(pull(jax.numpy.asarray(along))[0])
