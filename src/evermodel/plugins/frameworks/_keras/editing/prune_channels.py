"""A Keras network without some of its channels: an ordinary, smaller network of the same layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.channel_groups import Channels, Group
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.editing.trace_channels import trace

WIDTH = {"Dense": "units", "Embedding": "output_dim"}  # the setting that says how many channels a layer makes


def find_channel_groups(obj: Any) -> list[Group]:
    """Channels that can be taken out. Raises BadModel where there are none."""
    found = [g for g in trace(obj)[0].groups() if g.width > 1]
    if not found:
        raise BadModel(
            "No channel of this network can be taken out: none lies between two layers we know.",
            "Dense, convolution, BatchNormalization, Add, Concatenate and attention are known.",
        )
    return found


def remove_channels(obj: Any, removed: Mapping[str, Array]) -> Any:
    """A new network without these channels; compiled as before, optimizer memory fresh."""
    channels, outputs = trace(obj)
    gone = channels.find_removed(removed)
    return _filled(
        obj, _rebuilt(obj, channels, outputs, gone), {key: channels.cut(key, gone) for key in channels.slots}
    )


def mask_channels(obj: Any, removed: Mapping[str, Array]) -> Any:
    """The network in its old size, those channels' weights zero."""
    channels, _ = trace(obj)
    gone = channels.find_removed(removed)
    return _filled(obj, copy_model.clone(obj), {key: channels.mask(key, gone) for key in channels.slots})


def _filled(obj: Any, new: Any, values: Mapping[Any, Array]) -> Any:
    """``new`` with the given weights, by layer and position, and the old ones elsewhere."""
    for layer in obj.layers:
        if layer.weights:
            kept = [values.get((layer.name, at), value) for at, value in enumerate(layer.get_weights())]
            copy_model.set_weights(new.get_layer(layer.name), kept)
    copy_model.compile_like(obj, new)
    return new


def _rebuilt(obj: Any, channels: Channels, outputs: Mapping[str, Array], gone: Array) -> Any:
    import keras

    def rebuild_layer(layer: Any) -> Any:
        if getattr(layer, "layers", None):
            return copy_model.clone(layer)
        return type(layer).from_config({**layer.get_config(), **_changed(layer, channels, outputs, gone)})

    try:
        with copy_model.rebuild_from(obj):
            return keras.models.clone_model(obj, clone_function=rebuild_layer)
    except (ValueError, TypeError, NotImplementedError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"The smaller structure does not fit together: {first}") from None


def _changed(layer: Any, channels: Channels, outputs: Mapping[str, Array], gone: Array) -> dict[str, Any]:
    kind = type(layer).__name__
    if layer.name in outputs:
        return {WIDTH.get(kind, "filters"): int(channels.find_remaining(outputs[layer.name], gone).sum())}
    if kind == "MultiHeadAttention" and (layer.name, 0) in channels.slots:
        return {"num_heads": int(channels.find_remaining(channels.slots[layer.name, 0].axes[1], gone).sum())}
    if kind == "Reshape":
        return _reshape(layer)
    return {}


def _reshape(layer: Any) -> dict[str, Any]:
    """A target that was given in numbers is given by what comes in: (c,) -> (1, 1, c) or all -> (n,)."""
    target = tuple(layer.target_shape)
    if len(target) == 1:
        return {"target_shape": (-1,)}
    return {"target_shape": (*target[:-1], -1)} if int(np.prod(target[:-1])) == 1 else {}
