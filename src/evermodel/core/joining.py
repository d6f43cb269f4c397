"""What several networks need to be one behind the first one's transform: scales and shifts folded into each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.errors import BadModel
from evermodel.core.model import Model
from evermodel.core.table import Array

HINT = "Save into a folder instead."


def alike(models: Sequence[Model]) -> None:
    """Raises BadModel where inputs, outputs, or the encoding and filling of columns differ."""
    first, needs = models[0], [m.needs for m in models]
    for model, need in zip(models, needs, strict=True):
        if (need.shape, need.outputs, need.output) != (needs[0].shape, needs[0].outputs, needs[0].output):
            raise BadModel("Networks of different inputs or outputs cannot become one file.", HINT)
        bare = [dataclasses.replace(f, center=0.0, scale=1.0) for f in model.transform.features]
        own = [dataclasses.replace(f, center=0.0, scale=1.0) for f in first.transform.features]
        if bare != own or model.transform.layout != first.transform.layout:
            raise BadModel("Members that encode or fill their columns differently cannot become one file.", HINT)


def input_folding(first: Model, model: Model) -> tuple[Array, Array]:
    """(d,) or () scale and offset that turn the first one's normalised rows into the model's own."""
    pairs = list(zip(first.transform.features, model.transform.features, strict=True))
    scale = [np.full(a.width, a.scale / b.scale if a.encoding in ("value", "image") else 1.0) for a, b in pairs]
    offset = [
        np.full(a.width, (a.center - b.center) / b.scale if a.encoding in ("value", "image") else 0.0) for a, b in pairs
    ]
    if first.transform.layout == "image":
        return scale[0][0], offset[0][0]
    return np.concatenate(scale), np.concatenate(offset)


def output_folding(first: Model, model: Model, width: int) -> tuple[float, Any]:
    """Factor and shift from the model's raw output to log odds, or to values in the first one's scale."""
    own, shift = model.output, np.asarray(model.output.shift or (0.0,))
    if first.contract.task == "regression":
        base = kept_shift(first)[0] if kept_shift(first) else 0.0
        return own.scale / first.output.scale, float((shift[0] - base) / first.output.scale)
    if not model.output.shift:
        return 1.0 / own.temperature, 0.0
    return 1.0 / own.temperature, float(shift[1] - shift[0]) if width == 1 else shift


def kept_shift(first: Model) -> tuple[float, ...]:
    """A regression's shift stays outside the network, as its scale does; class shifts go into it."""
    return first.output.shift if first.contract.task == "regression" else ()
