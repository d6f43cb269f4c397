"""A network as its dense layers, where it is nothing else."""

from __future__ import annotations

from typing import Any

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel

PLAIN = ("InputLayer", "Dense", "Dropout", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Flatten")


def layers(obj: Any) -> list[tuple[Array, Array]]:
    """(kernel (inputs, units), bias (units,)) of each Dense layer. Raises BadModel where something else has weights."""
    from evermodel.plugins.frameworks._keras.editing.hyperparameters import chain_of

    dense = [layer for layer in obj.layers if type(layer).__name__ == "Dense"]
    others = [type(layer).__name__ for layer in obj.layers if type(layer).__name__ not in PLAIN]
    if chain_of(obj) is None or others or not dense or not all(layer.use_bias for layer in dense):
        raise BadModel(
            "Only a chain of Dense layers with biases can be taken apart into its units."
            + (f" This one has {', '.join(sorted(set(others)))}." if others else "")
        )
    return [(kernel, bias) for kernel, bias in (layer.get_weights() for layer in dense)]
