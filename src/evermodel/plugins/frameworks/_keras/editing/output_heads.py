"""Networks without their last sigmoid or softmax, and several of them side by side in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.side_by_side import HINT, check_joinable, fold_input, fold_output, outer_shift
from evermodel.plugins.frameworks._keras import predict as predicting
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import objective


def logits(obj: Any, x: Any) -> Array | None:
    """(n, 1) or (n, k) scores before the last sigmoid or softmax; None where the last layer does not show them."""
    if objective.signature(obj).output == "logit":
        return predicting.predict(obj, x)
    if not _ends_openly(obj):
        return None
    return predicting.predict(obj, x, through=without_head)


def without_head(obj: Any) -> Any:
    """The same network with the same weights, its last activation linear."""
    config = obj.get_config()
    if _ends_openly(obj):
        last = next(e["config"] for e in config["layers"] if e["config"].get("name") == obj.layers[-1].name)
        last["activation"] = "linear"
    with copy_model.rebuild_from(obj):
        network = type(obj).from_config(config)
    copy_model.set_weights(network, obj.get_weights())
    return network


def _named(obj: Any, name: str) -> Any:
    """The same network, ``name`` before the names of its layers: HDF5 files need every weight to have its own."""
    import keras

    def rename_layers(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "name": f"{name}_{config['name']}"})

    with copy_model.rebuild_from(obj):
        network = keras.models.clone_model(obj, clone_function=rename_layers, recursive=True)
    network.name = name
    copy_model.set_weights(network, obj.get_weights())
    return network


def _ends_openly(obj: Any) -> bool:
    """Whether the output is what the last layer's sigmoid or softmax makes."""
    last = obj.layers[-1]
    history = getattr(obj.outputs[0], "_keras_history", None)
    named = type(last).__name__ in ("Dense", "Activation") and history is not None and history.operation is last
    return named and objective.last_activation(obj) in ("sigmoid", "softmax")


def join_models(models: Sequence[Model], shares: Sequence[float], names: Sequence[str]) -> Model:
    """One network behind the first model's transform: the members side by side, their normalisation and shares folded.

    Its prediction is the weighted mean of log odds, or of values. Raises BadModel where inputs or outputs differ.
    """
    import keras

    first, signatures = models[0], [m.signature for m in models]
    _check(models)
    source = keras.Input(tuple(first.obj.inputs[0].shape[1:]), dtype=first.obj.inputs[0].dtype, name="rows")
    parts = []
    for model, share, name in zip(models, shares, names, strict=True):
        scale, offset = fold_input(first, model)
        x = source
        if not np.allclose(scale, 1.0, rtol=0, atol=1e-12) or np.any(offset):
            x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=f"{name}_normalised")(x)
        factor, shift = fold_output(first, model, signatures[0].outputs or 1)
        raw = _named(without_head(model.obj), name)(x)
        parts.append(
            keras.layers.Rescaling(share * factor, np.multiply(share, shift).tolist(), name=f"{name}_share")(raw)
        )
    mean = keras.layers.Add(name="mean")(parts) if len(parts) > 1 else parts[0]
    classifies = first.contract.task != "regression" and signatures[0].output != "logit"
    head = ("sigmoid" if signatures[0].outputs == 1 else "softmax") if classifies else "linear"
    network = keras.Model(source, keras.layers.Activation(head, name="answer")(mean), name="blend")
    copy_model.compile_like(first.obj, network)
    output = dataclasses.replace(first.output, temperature=1.0)
    return dataclasses.replace(first, obj=network, output=dataclasses.replace(output, shift=outer_shift(first)))


def _check(models: Sequence[Model]) -> None:
    check_joinable(models)
    if models[0].signature.inputs:
        raise BadModel("Networks with named inputs are not put side by side in one file.", HINT)
    for model in models:
        hidden = model.contract.task != "regression" and model.signature.output == "probability"
        if hidden and not _ends_openly(model.obj):
            raise BadModel(f"{type(model.obj.layers[-1]).__name__} hides the scores before the probabilities.", HINT)
