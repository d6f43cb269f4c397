"""A transform that the user gives as a file: our own JSON, a plain table of centers and scales, or a fitted scaler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core import plugs
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.model import Model
from evermodel.core.table import Array
from evermodel.core.transform import Feature, Transform

HINT = (
    'Give JSON {"age": {"center": 38.1, "scale": 12.4, "fill": 37}, …} in the model\'s order, '
    "the .transform.json that 'evermodel save' wrote, or a fitted StandardScaler or MinMaxScaler as .skops."
)


def read_transform(path: Path, model: Model) -> Transform:
    """The transform in ``path``. Raises BadSetting, naming what is wrong, for a file that is no transform."""
    if not path.is_file():
        raise NotFound(f"There is no transform file {str(path)!r}.", HINT)
    names = model.contract.names
    if path.suffix == ".skops":
        return _from_scaler(plugs.module("frameworks", "sklearn"), path, names)
    try:
        raw = json.loads(path.read_text())
        if "features" in raw or "transform" in raw:
            found = Transform.from_json(json.dumps(raw.get("transform", raw)))
        else:
            found = Transform(tuple(_feature(c, raw[c]) for c in raw), scaling="given")
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path.name} is no transform ({type(error).__name__}: {error}).", HINT) from None
    unknown = [f.column for f in found.features if f.column not in names]
    if unknown:
        raise BadSetting(f"{path.name} names columns that the reference rows lack: {', '.join(unknown[:5])}.", HINT)
    return found


def _feature(column: str, numbers: dict[str, Any]) -> Feature:
    unknown = set(numbers) - {"center", "scale", "fill", "categories", "encoding"}
    if unknown or not float(numbers.get("scale", 1.0)):
        raise ValueError(f"column {column!r}: {', '.join(unknown) or 'scale must not be 0'}")
    return Feature(**{"column": column, "fill": 0.0, **numbers, "categories": tuple(numbers.get("categories", ()))})


def _from_scaler(framework: Any, path: Path, names: list[str]) -> Transform:
    scaler = framework.read_scaler(path)
    center: Array
    if hasattr(scaler, "mean_"):
        center = np.zeros(len(names)) if scaler.mean_ is None else scaler.mean_
        scale = np.ones(len(names)) if scaler.scale_ is None else scaler.scale_
    elif hasattr(scaler, "data_min_"):  # x * scale_ + min_ = (x - center) / scale
        center, scale = -scaler.min_ / scaler.scale_, 1.0 / scaler.scale_
    else:
        raise BadSetting(
            f"{path.name} holds a {type(scaler).__name__}; a StandardScaler or MinMaxScaler is needed.", HINT
        )
    if len(center) != len(names):
        raise BadSetting(
            f"{path.name} scales {len(center)} columns; the model has {len(names)}: {', '.join(names[:9])} …"
        )
    order = [str(n) for n in getattr(scaler, "feature_names_in_", names)]
    parts = zip(order, center.tolist(), scale.tolist(), strict=True)
    return Transform(tuple(Feature(c, fill=m, center=m, scale=s) for c, m, s in parts), scaling="given")
