"""Keras 1 and 2 computed ``hard_sigmoid`` as 0.2 x + 0.5, cut to 0 … 1; Keras 3 computes x / 6 + 0.5, cut likewise.

It was the usual gate of LSTM and GRU layers before TensorFlow 2. Keras 3 alone reads such files without a word and
answers otherwise: by up to 0.14 in probability for the network of the package tox-block. The old function of x is the
new one of 1.2 x, so the weights that lead to it are multiplied by 1.2.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel

FACTOR = 1.2
GATES = {"LSTMCell": (0, 1, 3), "ConvLSTMCell": (0, 1, 3), "GRUCell": (0, 1)}  # parts of the last axis that are gates
PARTS = {"LSTMCell": 4, "ConvLSTMCell": 4, "GRUCell": 3}
WEIGHTS = ("kernel", "recurrent_kernel", "bias")
LINEAR = {"Dense", "EinsumDense", "SimpleRNNCell", "DepthwiseConv1D", "DepthwiseConv2D"}
LINEAR |= {f"Conv{n}D{kind}" for n in (1, 2, 3) for kind in ("", "Transpose")}


def keep_hard_sigmoid(model: Any) -> None:
    """Makes a network out of a file of Keras 1 or 2 answer as it did there, where it uses ``hard_sigmoid``.

    Changes the weights in place and warns, naming the layers. Raises BadModel for a layer whose weights cannot do it.
    """
    changed, layers = [], list(model._flatten_layers(include_self=False))
    names = {id(layer.cell): layer.name for layer in layers if hasattr(layer, "cell")}  # that the user gave
    for layer in layers:
        kind = type(layer).__name__
        of_gates = _is_hard_sigmoid(layer, "recurrent_activation") and hasattr(layer, "recurrent_kernel")
        of_output = _is_hard_sigmoid(layer, "activation") and not hasattr(layer, "cell")
        if of_gates:
            _scale_parts(layer, PARTS[kind], GATES[kind])
        if of_output and kind == "GRUCell":
            _scale_parts(layer, 3, (2,))
        elif of_output and kind in LINEAR:
            _scale_parts(layer, 1, (0,))
        elif of_output and kind.startswith("Separable"):
            _scale_parts(layer, 1, (0,), ("pointwise_kernel", "bias"))
        elif of_output:
            raise BadModel(
                f"The layer {names.get(id(layer), layer.name)!r} ({kind}) computes hard_sigmoid as Keras 2 did, and "
                "Keras 3 has another function of that name.",
                "Load the file with Keras 2, put a Rescaling(0.2, 0.5) and a ReLU(1) in its place, and save it again.",
            )
        if of_gates or of_output:
            changed.append(names.get(id(layer), layer.name))
    if changed:
        shown = ", ".join(sorted(changed)[:5]) + (" …" if len(changed) > 5 else "")
        warnings.warn(
            "The file is of Keras 2, whose hard_sigmoid is another function than that of Keras 3. The weights of "
            f"{shown} were multiplied by {FACTOR}, so that the network answers as in Keras 2, also where Keras 3 loads "
            "it later.",
            stacklevel=2,
        )


def _is_hard_sigmoid(layer: Any, attribute: str) -> bool:
    return getattr(getattr(layer, attribute, None), "__name__", "") == "hard_sigmoid"


def _scale_parts(layer: Any, n_parts: int, scaled: tuple[int, ...], names: tuple[str, ...] = WEIGHTS) -> None:
    """Multiplies some of the equal parts of the last axis of a layer's weights."""
    import keras

    for name in names:
        weight = getattr(layer, name, None)
        if weight is None:
            continue
        parts = np.split(keras.ops.convert_to_numpy(weight), n_parts, axis=-1)
        weight.assign(np.concatenate([p * FACTOR if i in scaled else p for i, p in enumerate(parts)], axis=-1))
