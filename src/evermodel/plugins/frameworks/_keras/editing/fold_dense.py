"""Folds a scale and a shift of the inputs into the first Dense layer, and one of the scores into the last."""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.editing.widen import input_readers
from evermodel.plugins.frameworks._keras.training import objective


def fold_input(obj: Any, scale: Array, offset: Array) -> Any:
    """A copy that predicts for x what ``obj`` predicts for ``scale * x + offset`` (d,). Raises BadModel."""
    readers = input_readers(obj)
    if len(readers) != 1 or type(readers[0]).__name__ != "Dense" or len(obj.inputs[0].shape) != 2:
        raise BadModel("A normalisation needs one Dense layer right behind the input.")
    kernel, bias = _weights(readers[0])
    wide = kernel.astype(np.float64)
    return _replace(obj, readers[0].name, wide * scale[:, None], bias + offset @ wide)


def fold_output(obj: Any, factor: float, shift: Array) -> Any:
    """A copy whose scores before the last activation are ``factor * score + shift`` (k,). Raises BadModel."""
    last = obj.layers[-1]
    history = getattr(obj.outputs[0], "_keras_history", None)
    if type(last).__name__ != "Dense" or history is None or history.operation is not last:
        raise BadModel("A correction of the output needs a Dense layer at the end.")
    activation = objective.last_activation(obj)
    if activation not in ("linear", "sigmoid", "softmax") and not (
        activation == "relu" and factor > 0 and not np.any(shift)
    ):
        raise BadModel(f"A correction of the output cannot go through the activation {activation!r}.")
    kernel, bias = _weights(last)
    return _replace(obj, last.name, kernel.astype(np.float64) * factor, bias * factor + shift)


def _weights(layer: Any) -> tuple[Array, Array]:
    weights = layer.get_weights()
    if not layer.use_bias or len(weights) != 2:
        raise BadModel(f"The Dense layer {layer.name!r} has no bias that could hold a shift.")
    return weights[0], weights[1].astype(np.float64)


def _replace(obj: Any, name: str, kernel: Array, bias: Array) -> Any:
    network = copy_model.copy(obj)
    layer = network.get_layer(name)
    layer.set_weights([new.astype(old.dtype) for new, old in zip((kernel, bias), layer.get_weights(), strict=True)])
    return network
