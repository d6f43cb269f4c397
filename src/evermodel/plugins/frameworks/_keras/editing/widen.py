"""Gives a network more inputs or more classes; on old rows it predicts as before."""

from __future__ import annotations

from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import objective

_NEW_CLASS = -20.0  # a new class's bias below the mean of the others: exp(-20) = 2e-9 of the probability to start with
_NOISE = 1e-3  # of the new columns, in parts of the old ones' spread: new classes must not start equal
_HINT = "Train a new model of the new shape instead (refit)."


def widen_network(obj: Any, *, inputs: int, outputs: int) -> Any:
    """A new model with ``inputs`` columns and ``outputs`` outputs; its optimizer memory is fresh.

    New inputs get zero rows in the first Dense layer: exact. A new class gets the mean of the old classes' columns and
    a bias 20 below them: old rows' probabilities move by less than 1e-6. A sigmoid becomes a softmax of the same odds.
    Raises BadModel where the first and last layers are not Dense, or where something would have to become narrower.
    """
    objective.single_output(obj)
    columns = objective.single_input(obj)[-1]
    width = objective.single_output(obj)
    if inputs < (columns or 0) or outputs < width:
        raise BadModel(
            f"A model can only be widened. It has {columns} inputs and {width} outputs; "
            f"asked for {inputs} and {outputs}.",
            _HINT,
        )
    config = obj.get_config()
    replaced: dict[str, list[Array]] = {}
    if inputs != columns:
        _widen_input(obj, config, inputs, replaced)
    if outputs != width:
        _widen_head(obj, config, outputs, replaced)
    network = _rebuilt(obj, config)
    for old in obj.layers:
        new = network.get_layer(old.name)
        copy_model.set_weights(new, replaced.get(old.name, old.get_weights()))
    _compile(obj, network, outputs, width)
    return network


def _rebuilt(obj: Any, config: dict[str, Any]) -> Any:
    try:
        with copy_model.rebuild_from(obj):
            return type(obj).from_config(config)
    except (ValueError, TypeError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"The wider structure does not fit together: {first}", _HINT) from None


def _entry(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(e["config"] for e in config["layers"] if e["config"].get("name") == name)


def _widen_input(obj: Any, config: dict[str, Any], inputs: int, replaced: dict[str, list[Array]]) -> None:
    """Zero rows in the Dense layer that reads the input; Dropout may stand between, as it mixes no columns."""
    readers = input_readers(obj)
    if len(readers) != 1 or type(readers[0]).__name__ != "Dense" or len(obj.inputs[0].shape) != 2:
        raise BadModel(
            f"New inputs need one Dense layer right behind the input. Got {[r.name for r in readers]}.", _HINT
        )
    kernel, *bias = readers[0].get_weights()
    rows = np.zeros((inputs - kernel.shape[0], kernel.shape[1]), dtype=kernel.dtype)
    replaced[readers[0].name] = [np.concatenate([kernel, rows]), *bias]
    old = obj.inputs[0].shape[1]
    for entry in config["layers"]:
        if entry["class_name"] == "InputLayer":
            entry["config"]["batch_shape"] = [*entry["config"]["batch_shape"][:-1], inputs]
        entry.pop("build_config", None)
    if config.get("build_input_shape"):
        config["build_input_shape"] = [*config["build_input_shape"][:-1], inputs]
    if type(obj).__name__ != "Sequential":
        _reshape_tensors(
            config["layers"], {layer.name for layer in obj.layers if type(layer).__name__ == "InputLayer"}, old, inputs
        )


def input_readers(obj: Any) -> list[Any]:
    """Layers that take the input itself; a Dropout behind the input of a Sequential model mixes no columns."""
    if type(obj).__name__ == "Sequential":
        return [layer for layer in obj.layers if type(layer).__name__ not in ("InputLayer", "Dropout")][:1]
    name = next(layer.name for layer in obj.layers if type(layer).__name__ == "InputLayer")
    return [
        layer
        for layer in obj.layers
        for node in layer._inbound_nodes
        if any(t._keras_history.operation.name == name for t in node.input_tensors)
    ]


def _reshape_tensors(value: Any, sources: set[str], old: int, new: int) -> None:
    """The tensors between layers carry their shape in the configuration: those from the input become wider."""
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") == "__keras_tensor__" and isinstance(config, dict):
            if config["keras_history"][0] in sources and config["shape"][-1] == old:
                config["shape"] = [*config["shape"][:-1], new]
            return
        for inner in value.values():
            _reshape_tensors(inner, sources, old, new)
    elif isinstance(value, list):
        for inner in value:
            _reshape_tensors(inner, sources, old, new)


def _widen_head(obj: Any, config: dict[str, Any], outputs: int, replaced: dict[str, list[Array]]) -> None:
    """New columns in the last Dense layer, and softmax where there was a sigmoid of two classes."""
    head = obj.layers[-1]
    activation, task = objective.last_activation(obj), objective.signature(obj).task
    if type(head).__name__ != "Dense" or not head.use_bias:
        raise BadModel(f"A wider head needs a Dense layer with a bias at the end. Got {type(head).__name__}.", _HINT)
    if task not in ("binary", "multiclass"):
        raise BadModel(f"Only a classifier can gain classes. This model's task is {task!r}.", _HINT)
    kernel, bias = head.get_weights()
    entry = _entry(config, head.name)
    if kernel.shape[1] == 1:  # sigmoid(z) = softmax(0, z)
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = np.concatenate([np.zeros_like(bias), bias])
        entry["activation"] = "softmax" if activation == "sigmoid" else "linear"
    elif activation == "sigmoid":
        raise BadModel("A head of several sigmoids has no exact wider form.", _HINT)
    replaced[head.name] = list(_wider(kernel, bias, outputs))
    entry["units"] = outputs


def _wider(kernel: Array, bias: Array, outputs: int) -> tuple[Array, Array]:
    """(d, k), (k,) -> (d, outputs), (outputs,): the mean column plus small noise, the bias far below."""
    more = outputs - kernel.shape[1]
    noise = np.random.default_rng(0).normal(size=(kernel.shape[0], more)) * _NOISE * (kernel.std() or 1.0)
    columns = kernel.mean(axis=1, keepdims=True) + noise
    low = np.full(more, bias.mean() + _NEW_CLASS)
    return (
        np.concatenate([kernel, columns.astype(kernel.dtype)], axis=1),
        np.concatenate([bias, low.astype(bias.dtype)]),
    )


def _compile(old: Any, new: Any, outputs: int, width: int) -> None:
    """As before; where classes came and the loss took one output, the loss and the metrics for several."""
    import keras

    if not getattr(old, "compiled", False) or old.optimizer is None:
        return
    if width > 1 or outputs == width:
        copy_model.compile_like(old, new)
        return
    logits = objective.last_activation(new) != "softmax"
    optimizer = type(old.optimizer).from_config(old.optimizer.get_config())
    new.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=logits), metrics=["accuracy"])
    new.optimizer.build(new.trainable_variables)
