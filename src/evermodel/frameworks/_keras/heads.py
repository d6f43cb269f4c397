"""Networks without their last sigmoid or softmax, and several of them side by side in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.joining import HINT, alike, input_folding, kept_shift, output_folding
from evermodel.core.model import Model
from evermodel.core.table import Array
from evermodel.frameworks._keras import copying, objective, predicting


def logits(obj: Any, x: Any) -> Array | None:
    """(n, 1) or (n, k) scores before the last sigmoid or softmax; None where the last layer does not show them."""
    if objective.needs(obj).output == "logit":
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
    with copying.seeded(0):
        made = type(obj).from_config(config)
    copying.set_weights(made, obj.get_weights())
    return made


def _named(obj: Any, name: str) -> Any:
    """The same network, ``name`` before the names of its layers: HDF5 files need every weight to have its own."""
    import keras

    def renamed(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "name": f"{name}_{config['name']}"})

    with copying.seeded(0):
        made = keras.models.clone_model(obj, clone_function=renamed, recursive=True)
    made.name = name
    copying.set_weights(made, obj.get_weights())
    return made


def _ends_openly(obj: Any) -> bool:
    """Whether the output is what the last layer's sigmoid or softmax makes."""
    last = obj.layers[-1]
    history = getattr(obj.outputs[0], "_keras_history", None)
    named = type(last).__name__ in ("Dense", "Activation") and history is not None and history.operation is last
    return named and objective.last_activation(obj) in ("sigmoid", "softmax")


def joined(models: Sequence[Model], shares: Sequence[float], names: Sequence[str]) -> Model:
    """One network behind the first model's transform: the members side by side, their normalisation and shares folded.

    Its prediction is the weighted mean of log odds, or of values. Raises BadModel where inputs or outputs differ.
    """
    import keras

    first, needs = models[0], [m.needs for m in models]
    _check(models)
    source = keras.Input(tuple(first.obj.inputs[0].shape[1:]), dtype=first.obj.inputs[0].dtype, name="rows")
    parts = []
    for model, share, name in zip(models, shares, names, strict=True):
        scale, offset = input_folding(first, model)
        x = source
        if not np.allclose(scale, 1.0, rtol=0, atol=1e-12) or np.any(offset):
            x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=f"{name}_normalised")(x)
        factor, shift = output_folding(first, model, needs[0].outputs or 1)
        raw = _named(without_head(model.obj), name)(x)
        parts.append(
            keras.layers.Rescaling(share * factor, np.multiply(share, shift).tolist(), name=f"{name}_share")(raw)
        )
    mean = keras.layers.Add(name="mean")(parts) if len(parts) > 1 else parts[0]
    classifies = first.contract.task != "regression" and needs[0].output != "logit"
    head = ("sigmoid" if needs[0].outputs == 1 else "softmax") if classifies else "linear"
    made = keras.Model(source, keras.layers.Activation(head, name="answer")(mean), name="blend")
    copying.compile_like(first.obj, made)
    output = dataclasses.replace(first.output, temperature=1.0)
    return dataclasses.replace(first, obj=made, output=dataclasses.replace(output, shift=kept_shift(first)))


def _check(models: Sequence[Model]) -> None:
    alike(models)
    for model in models:
        hidden = model.contract.task != "regression" and model.needs.output == "probability"
        if hidden and not _ends_openly(model.obj):
            raise BadModel(f"{type(model.obj.layers[-1]).__name__} hides the scores before the probabilities.", HINT)
