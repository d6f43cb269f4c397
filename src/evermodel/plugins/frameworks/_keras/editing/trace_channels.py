"""Walks a Keras network, Sequential or functional, and tells which channels hang together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.channel_groups import Channels

SAME = [
    "ReLU",
    "LeakyReLU",
    "ELU",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianNoise",
    "GaussianDropout",
    "Identity",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "ActivityRegularization",
]  # work on each channel for itself
ACROSS = ("softmax", "log_softmax", "sparsemax", "glu")  # activations that look at all channels at once
Maker = Callable[[Channels, Any, Sequence[Array], Any], Array | None]


def trace(obj: Any) -> tuple[Channels, dict[str, Array]]:
    """The trace, and of each layer that makes channels, their numbers."""
    graph = getattr(obj, "_functional", None) or obj
    channels, tensor_channels, channels_of_layer = Channels(), dict[int, Array](), dict[str, Array]()
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            out = node.output_tensors
            if node.is_input:
                tensor_channels |= {id(t): channels.freeze_channels(int(t.shape[-1] or 1)) for t in out}
                continue
            given = [tensor_channels[id(t)] for t in node.input_tensors]
            found = _step(channels, node, given, channels_of_layer) if len(out) == 1 else None
            if found is None:
                for ids in given:
                    channels.freeze(ids)
            for tensor in out:
                tensor_channels[id(tensor)] = (
                    channels.freeze_channels(int(tensor.shape[-1] or 1)) if found is None else found
                )
    for tensor in graph.outputs:
        channels.freeze(tensor_channels[id(tensor)])
    return channels, channels_of_layer


def _step(channels: Channels, node: Any, given: Sequence[Array], channels_of_layer: dict[str, Array]) -> Array | None:
    """The channels of what a layer gives; None where the layer is not known, and nothing before it may change."""
    layer = node.operation
    kind = type(layer).__name__
    if getattr(layer, "data_format", None) == "channels_first" or getattr(layer, "quantization_mode", None):
        return None
    if kind in SAME:
        return given[0]
    if kind == "Activation":
        return given[0] if _by_channel(layer) else None
    maker = MAKERS.get(kind)
    if maker is None:
        return None
    if kind in WIDE and layer.name in channels_of_layer:  # a shared layer: the same channels again
        maker(channels, layer, given, channels_of_layer[layer.name])
        return channels_of_layer[layer.name]
    found = maker(channels, layer, given, node)
    if found is not None and kind in WIDE:
        channels_of_layer[layer.name] = found
        if not _by_channel(layer):
            channels.freeze(found)
    return found


def _by_channel(layer: Any) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "linear") not in ACROSS


def _weights(layer: Any) -> dict[str, tuple[int, Array]]:
    return {v.name: (i, w) for i, (v, w) in enumerate(zip(layer.weights, layer.get_weights(), strict=True))}


def _slots(channels: Channels, layer: Any, axes: dict[str, dict[int, Array]]) -> bool:
    """Tells the axes of each of the layer's weights by name; False where it has others than these."""
    weights = _weights(layer)
    if not set(weights) <= set(axes):
        return False
    for name, (at, value) in weights.items():
        counts = name not in ("bias", "beta", "moving_mean", "moving_variance")
        channels.slot((layer.name, at), value, axes[name], counts=counts)
    return True


def _out(channels: Channels, layer: Any, node: Any, width: int) -> Array:
    return node if isinstance(node, np.ndarray) else channels.new_channels(width, layer.name)


def _dense(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    out = _out(channels, layer, node, layer.units)
    return out if _slots(channels, layer, {"kernel": {0: given[0], 1: out}, "bias": {0: out}}) else None


def _conv(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    if layer.groups != 1:
        return None
    out, rank = _out(channels, layer, node, layer.filters), layer.rank
    return out if _slots(channels, layer, {"kernel": {rank: given[0], rank + 1: out}, "bias": {0: out}}) else None


def _transposed(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    out, rank = _out(channels, layer, node, layer.filters), layer.rank
    return out if _slots(channels, layer, {"kernel": {rank: out, rank + 1: given[0]}, "bias": {0: out}}) else None


def _depthwise(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    out = np.repeat(given[0], layer.depth_multiplier)
    axes = {"kernel": {layer.rank: given[0]}, "bias": {0: out}}
    return out if _by_channel(layer) and _slots(channels, layer, axes) else None


def _separable(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    out, middle = _out(channels, layer, node, layer.filters), np.repeat(given[0], layer.depth_multiplier)
    deep = {"depthwise_kernel": {layer.rank: given[0]}, "bias": {0: out}}
    pointed = {"pointwise_kernel": {layer.rank: middle, layer.rank + 1: out}}
    return out if _slots(channels, layer, deep | pointed) else None


def _embedding(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    out = _out(channels, layer, node, layer.output_dim)
    return out if _slots(channels, layer, {"embeddings": {1: out}}) else None


def _normalised(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    rank = len(layer.input_spec.axes or {}) and layer.input_spec.ndim
    if layer.axis not in (-1, (rank or 0) - 1):
        return None
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return given[0] if _slots(channels, layer, {n: {0: given[0]} for n in names}) else None


def _prelu(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    last = layer.alpha.ndim - 1
    return given[0] if _slots(channels, layer, {"alpha": {last: given[0]}}) else None


def _flat(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    shape = node.input_tensors[0].shape[1:]
    if any(d is None for d in shape):
        return None
    return np.tile(given[0], int(np.prod(shape[:-1], dtype=int)))


def _reshaped(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    """(c,) -> (1, 1, c), as squeeze-and-excitation has it, or anything -> (n,)."""
    out = node.output_tensors[0].shape[1:]
    if len(out) == 1:
        return _flat(channels, layer, given, node)
    alone = int(np.prod(out[:-1], dtype=int)) == 1 and out[-1] == len(given[0])
    return given[0] if alone else None


def _together(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    if len({len(ids) for ids in given}) > 1:
        return None
    for other in given[1:]:
        channels.join(given[0], other)
    return given[0]


def _beside(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    rank = len(node.output_tensors[0].shape)
    return np.concatenate(given) if layer.axis in (-1, rank - 1) else _together(channels, layer, given, node)


def _attention(channels: Channels, layer: Any, given: Sequence[Array], node: Any) -> Array | None:
    """Whole heads are the channels within; query, key, value and output are read and made like a Dense layer's."""
    if len(node.input_tensors) not in (2, 3) or layer.attention_axes not in (None, (1,)):
        return None
    query, value, key = given[0], given[1], given[2] if len(given) == 3 else given[1]
    heads, width = channels.new_channels(layer.num_heads, layer.name), int(node.output_tensors[0].shape[-1])
    out = channels.new_channels(width, f"{layer.name}/output")
    parts = (("_query_dense", query), ("_key_dense", key), ("_value_dense", value))
    at = {id(v): i for i, v in enumerate(layer.weights)}
    values = layer.get_weights()
    for name, read in parts:
        dense = getattr(layer, name)
        channels.slot((layer.name, at[id(dense.kernel)]), values[at[id(dense.kernel)]], {0: read, 1: heads})
        if dense.bias is not None:
            channels.slot((layer.name, at[id(dense.bias)]), values[at[id(dense.bias)]], {0: heads}, counts=False)
    last = layer._output_dense
    channels.slot((layer.name, at[id(last.kernel)]), values[at[id(last.kernel)]], {0: heads, 2: channels.freeze(out)})
    return out


MAKERS: dict[str, Maker] = {
    "Dense": _dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv3D": _conv,
    "Conv1DTranspose": _transposed,
    "Conv2DTranspose": _transposed,
    "Conv3DTranspose": _transposed,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Embedding": _embedding,
    "BatchNormalization": _normalised,
    "PReLU": _prelu,
    "Flatten": _flat,
    "Reshape": _reshaped,
    "Concatenate": _beside,
    "MultiHeadAttention": _attention,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _together),
}
WIDE = (
    "Dense",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "SeparableConv1D",
    "SeparableConv2D",
    "Embedding",
)
