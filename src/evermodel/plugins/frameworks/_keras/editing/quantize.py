"""8-bit weights of Dense and Embedding layers, by Keras's own post-training quantisation; and back to floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._keras.editing import copy_model

TABLES = {"Dense": "kernel", "Embedding": "embeddings"}  # the weight that is held in 8 bits
MODE = "int8"


def is_quantised(obj: Any) -> bool:
    """Whether any layer holds its weights in 8 bits."""
    return any(True for _ in _quantised(obj))


def quantise(obj: Any, share: float) -> Any:
    """A new network whose largest Dense and Embedding layers, ``share`` of their weights at least, are in 8 bits.

    Raises BadModel for a network without such layers, or which is quantised already.
    """
    if is_quantised(obj):
        raise BadModel("The network's weights are in 8 bits already.", "Take it as it is.")
    fit = [layer for layer in obj.layers if type(layer).__name__ in TABLES and layer.weights]
    if not fit:
        raise BadModel(
            "No layer of this network can be held in 8 bits: it has no Dense or Embedding layer.",
            "Use the pruner 'channels'.",
        )
    network = copy_model.clone(obj)
    copy_model.set_weights(network, obj.get_weights())
    sizes = {layer.name: sum(int(np.prod(w.shape)) for w in layer.weights) for layer in fit}
    done, total = 0, sum(sizes.values())
    for name in sorted(sizes, key=lambda n: (-sizes[n], n)):
        if done >= share * total and done:
            break
        network.get_layer(name).quantize(MODE)
        done += sizes[name]
    copy_model.compile_like(obj, network)
    return network


def floats(obj: Any) -> Any:
    """The network itself, or its twin in floats where it is in 8 bits: what trains, and what is taken apart."""
    import keras

    if not is_quantised(obj):
        return obj
    names = {layer.name for layer in _quantised(obj)}

    def rebuild_layer(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in names:
            config = {k: v for k, v in config.items() if k != "quantization_config"}
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    with copy_model.rebuild_from(obj):
        network = keras.models.clone_model(obj, clone_function=rebuild_layer)
    for layer in obj.layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(_whole(layer) if layer.name in names else layer.get_weights())
    copy_model.compile_like(obj, network)
    return network


def _quantised(obj: Any) -> Iterator[Any]:
    return (layer for layer in obj.layers if getattr(getattr(layer, "dtype_policy", None), "quantization_mode", None))


def _whole(layer: Any) -> list[Array]:
    """The layer's weights as a float layer of its kind has them: the table first, then the bias."""
    held = {w.name: w.numpy() if hasattr(w, "numpy") else np.asarray(w) for w in layer.weights}
    key = TABLES[type(layer).__name__]
    scale = held[f"{key}_scale"]
    table = held[key].astype(np.float32) / (scale[:, None] if key == "embeddings" else scale)
    return [table, *([held["bias"]] if "bias" in held else [])]
