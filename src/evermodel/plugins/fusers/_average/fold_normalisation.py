"""Rewrites a network of dense layers so that it answers the same behind another model's normalisation. Exact."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import DenseLayers
from evermodel.core.model.model import Model
from evermodel.core.model.transform import Transform

Layer = tuple[Array, Array]


def behind(model: Model, other: Model) -> Model:
    """``model`` with the transform and output scale of ``other``, predicting what it did (to rounding).

    W' = W s_new / s_old, b' = b + W (mu_new - mu_old) / s_old in the first layer; likewise in the last of a regression.
    Raises BadModel where the two encode their columns differently, or the network is no chain of dense layers.
    """
    if model.transform == other.transform and model.output == other.output:
        return model
    if not isinstance(model.framework, DenseLayers):
        raise BadModel(
            "The models normalise their input differently: a mean of their weights means nothing.",
            "Use vote or select, or fuse versions that a warm start made.",
        )
    layers = model.framework.get_dense_layers(model.obj)
    layers = _input(layers, model.transform, other.transform)
    layers = _output(layers, model, other)
    obj = model.framework.replace_dense_layers(
        model.obj, [(k.astype(np.float32), b.astype(np.float32)) for k, b in layers]
    )
    return dataclasses.replace(model, obj=obj, transform=other.transform, output=other.output)


def _input(layers: Sequence[Layer], own: Transform, new: Transform) -> list[Layer]:
    bare = [[dataclasses.replace(f, center=0.0, scale=1.0, fill=None) for f in t.features] for t in (own, new)]
    if bare[0] != bare[1] or own.layout != new.layout or own.layout != "matrix":
        raise BadModel(
            "The models encode their columns differently: a mean of their weights means nothing.", "Use vote or select."
        )
    numbers = [f.encoding == "value" for f in own.features for _ in range(f.width)]
    before, after = (
        np.array([(f.center, f.scale) for f in t.features for _ in range(f.width)], dtype=np.float64)
        for t in (own, new)
    )
    before[~np.array(numbers)] = after[~np.array(numbers)] = (0.0, 1.0)
    kernel, bias = (part.astype(np.float64) for part in layers[0])
    shifted = bias + ((after[:, 0] - before[:, 0]) / before[:, 1]) @ kernel
    return [(kernel * (after[:, 1] / before[:, 1])[:, None], shifted), *layers[1:]]


def _output(layers: list[Layer], model: Model, other: Model) -> list[Layer]:
    own, new = model.output, other.output
    if own == new:
        return layers
    alike = (
        own.kind == new.kind == "value"
        and model.signature.unbounded
        and (own.gain, own.offset, own.target_transform) == (new.gain, new.offset, new.target_transform)
    )
    if not alike:
        raise BadModel(
            "The models correct their output differently: a mean of their weights means nothing.", "Use vote."
        )
    kernel, bias = (part.astype(np.float64) for part in layers[-1])
    shifts = [o.shift[0] if o.shift else 0.0 for o in (own, new)]
    ratio = own.scale / new.scale
    return [*layers[:-1], (kernel * ratio, bias * ratio + (shifts[0] - shifts[1]) / new.scale)]
