"""What several networks need to be one behind the first one's transform: scales and shifts folded into each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model

HINT = "Save into a folder instead."


def check_joinable(models: Sequence[Model]) -> None:
    """Raises BadModel where inputs, outputs, or the encoding and filling of columns differ."""
    first, signatures = models[0], [m.signature for m in models]
    if any(m.output.target_transform != "none" for m in models):
        raise BadModel("Models of a transformed target average their answers outside of the network.", HINT)
    for model, signature in zip(models, signatures, strict=True):
        if (signature.shape, signature.outputs, signature.output) != (
            signatures[0].shape,
            signatures[0].outputs,
            signatures[0].output,
        ):
            raise BadModel("Networks of different inputs or outputs cannot become one file.", HINT)
        bare = [dataclasses.replace(f, center=0.0, scale=1.0) for f in model.transform.features]
        own = [dataclasses.replace(f, center=0.0, scale=1.0) for f in first.transform.features]
        if bare != own or model.transform.layout != first.transform.layout:
            raise BadModel("Members that encode or fill their columns differently cannot become one file.", HINT)


def fold_input(first: Model, model: Model) -> tuple[Array, Array]:
    """(d,) or () scale and offset that turn the first one's normalised rows into the model's own."""
    pairs = list(zip(first.transform.features, model.transform.features, strict=True))
    scale = [np.full(a.width, a.scale / b.scale) for a, b in pairs]
    offset = [np.full(a.width, (a.center - b.center) / b.scale) for a, b in pairs]
    if first.transform.layout == "image":
        return scale[0][0], offset[0][0]
    return np.concatenate(scale), np.concatenate(offset)


def fold_output(first: Model, model: Model, width: int) -> tuple[float, Any]:
    """Factor and shift from the model's raw output to log odds, or to values in the first one's scale."""
    own, shift = model.output, np.asarray(model.output.shift or (0.0,))
    if first.contract.task == "regression":
        base = outer_shift(first)[0] if outer_shift(first) else 0.0
        return own.scale / first.output.scale, float((shift[0] - base) / first.output.scale)
    if not model.output.shift:
        return 1.0 / own.temperature, 0.0
    return 1.0 / own.temperature, float(shift[1] - shift[0]) if width == 1 else shift


def outer_shift(first: Model) -> tuple[float, ...]:
    """A regression's shift stays outside the network, as its scale does; class shifts go into it."""
    return first.output.shift if first.contract.task == "regression" else ()
