"""A transform that the user gives as a file: our own JSON, a plain table of centers and scales, or a fitted scaler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.files import read_limited
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.model import Model
from evermodel.core.model.transform import Feature, Transform

AS_THEY_ARE = "none"  # said in place of a file: the columns are not scaled
LARGEST = 100_000_000  # bytes
HINT = (
    'Give JSON {"age": {"center": 38.1, "scale": 12.4, "fill": 37}, …} in the model\'s order, '
    "the .transform.json that 'evermodel save' wrote, a fitted StandardScaler or MinMaxScaler as .skops, or the word "
    "none for columns that go in as they are."
)


def read_transform(path: Path, model: Model) -> Transform:
    """The transform in ``path``. Raises BadSetting, naming what is wrong, for a file that is no transform."""
    if not path.is_file():
        raise NotFound(f"There is no transform file {str(path)!r}.", HINT)
    names = model.contract.names
    if path.suffix == ".skops":
        return _read_scaler(FRAMEWORKS.load_module("sklearn"), path, names)
    try:
        raw = json.loads(read_limited(path, LARGEST))
        if "features" in raw or "transform" in raw:
            transform = Transform.from_json(json.dumps(raw.get("transform", raw)))
        else:
            transform = Transform(tuple(_read_feature(c, raw[c]) for c in raw), scaling="given")
    except OSError as error:
        raise BadSetting(f"{path.name} cannot be read: {error.strerror}.", HINT) from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise BadSetting(f"{path.name} is no transform ({type(error).__name__}: {error}).", HINT) from None
    unknown = [f.column for f in transform.features if f.column not in names]
    if unknown:
        raise BadSetting(f"{path.name} names columns that the reference rows lack: {', '.join(unknown[:5])}.", HINT)
    return transform


def _read_feature(column: str, numbers: dict[str, Any]) -> Feature:
    unknown = set(numbers) - {"center", "scale", "fill", "categories", "encoding"}
    if unknown or not float(numbers.get("scale", 1.0)):
        raise ValueError(f"column {column!r}: {', '.join(unknown) or 'scale must not be 0'}")
    return Feature(**{"column": column, "fill": 0.0, **numbers, "categories": tuple(numbers.get("categories", ()))})


def _read_scaler(framework: Any, path: Path, names: list[str]) -> Transform:
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
