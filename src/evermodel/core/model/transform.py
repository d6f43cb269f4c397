"""From cleaned rows to what the model object takes: encoding and normalisation, as plain data."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.image_decoding import decode_images
from evermodel.core.errors import BadData
from evermodel.core.model.framework import Layout
from evermodel.core.model.value_transforms import ValueTransform, transform_column
from evermodel.core.records.model_signature import NamedInput

Encoding = Literal["value", "code", "onehot", "onehot_drop_first", "image", "text", "integer"]
# "standard_but_flags": columns of 0 and 1 stay as they are, as where numbers alone were scaled
# "standard_all", "minmax_all": codes of categories and one-hot columns too, as where a whole matrix was scaled
# "robust": the median and the distance of the quartiles
Scaling = Literal[
    "none",
    "standard",
    "standard_but_flags",
    "standard_all",
    "minmax",
    "minmax_all",
    "minmax_symmetric",
    "maxabs",
    "robust",
    "divide_255",
    "given",
]
OF_ALL: tuple[Scaling, ...] = ("standard_all", "minmax_all")


@dataclass(frozen=True)
class Feature:
    """How one column becomes one or more columns of x: missing → ``fill``, then (function(value) - center) / scale.

    Where ``fill`` is the place of a category, a missing value counts as that one, and the code of an unknown value is
    -1. Any other ``fill`` is the code of both.
    """

    column: str
    encoding: Encoding = "value"
    fill: float | None = None  # None: missing stays NaN
    center: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()  # of "onehot" and "code"; a value not among them is all zeros, or missing
    below: int | None = None  # of whole numbers for an input of such: the table behind them has so many places
    shape: tuple[int, ...] = ()  # (h, w, c) of "image" beside other columns
    dtype: Literal["", "int64", "bool"] = ""  # in a frame: the type of the reference rows, where a value is in each row
    function: ValueTransform = "none"  # of a number

    @property
    def width(self) -> int:
        if self.encoding == "onehot":
            return len(self.categories)
        if self.shape:
            return math.prod(self.shape)
        return len(self.categories) - 1 if self.encoding == "onehot_drop_first" else 1

    @property
    def fills_category(self) -> bool:
        """Whether a missing value counts as one of the categories."""
        coded = self.encoding in ("code", "onehot", "onehot_drop_first")
        return coded and self.fill is not None and 0 <= self.fill < len(self.categories)

    @property
    def is_scalable(self) -> bool:
        """Whether it is one column of codes, or of 0 and 1, that a scaling of the whole matrix changes."""
        return self.below is None and self.encoding in ("code", "onehot", "onehot_drop_first") and self.width == 1


@dataclass(frozen=True)
class Transform:
    """Cleaned rows -> x: a float matrix (n, d), images (n, h, w, c), or the columns as a frame (``layout``).

    The matrix holds objects, floats and texts, where a named input takes texts.
    """

    features: tuple[Feature, ...]
    layout: Layout = "matrix"
    scaling: Scaling = "none"
    dtype: Literal["float32", "float64"] = "float32"
    image: tuple[int, ...] = ()  # (h, w, c) of layout "image"
    inputs: tuple[NamedInput, ...] = ()  # in the order in which x holds their numbers; () where the model names none

    @property
    def width(self) -> int:
        return sum(f.width for f in self.features)

    def __call__(self, frame: pl.DataFrame) -> Any:
        if self.layout == "frame":
            return pl.DataFrame([_restore_type(frame[f.column], f.dtype) for f in self.features])
        if self.layout == "image":
            return self._images(frame)
        return self._matrix(frame)

    def _matrix(self, frame: pl.DataFrame) -> Array:
        holds_texts = any(feature.encoding == "text" for feature in self.features)
        x = np.empty((frame.height, self.width), dtype=object if holds_texts else self.dtype)
        at = 0
        for feature in self.features:
            x[:, at : at + feature.width] = _encoded(feature, frame[feature.column])
            at += feature.width
        return x

    def _images(self, frame: pl.DataFrame) -> Array:
        feature = self.features[0]
        pixels = decode_images(frame[feature.column], self.image).astype(self.dtype)
        if feature.center or feature.scale != 1.0:
            pixels = (pixels - np.asarray(feature.center, self.dtype)) / np.asarray(feature.scale, self.dtype)
        return pixels

    def categorical(self) -> tuple[int, ...]:
        """Positions in x of columns that hold category codes."""
        ends = np.cumsum([0, *(f.width for f in self.features)])
        return tuple(int(ends[i]) for i, f in enumerate(self.features) if f.encoding == "code")

    def widen(self, contract: Contract) -> Transform:
        """The same transform with columns of x for categories that came since; one-hot ones stand behind all others."""
        features = tuple(
            dataclasses.replace(f, categories=contract.column(f.column).categories) if f.encoding == "code" else f
            for f in self.features
        )
        known: dict[str, tuple[str, ...]] = {}
        for f in features:
            if f.encoding in ("onehot", "onehot_drop_first"):
                known[f.column] = known.get(f.column, ()) + f.categories
        new = {c: tuple(v for v in contract.column(c).categories if v not in old) for c, old in known.items()}
        behind = tuple(Feature(c, "onehot", categories=v) for c, v in new.items() if v)
        return dataclasses.replace(self, features=features + behind)

    def fit(self, frame: pl.DataFrame, weight: Array | None = None, *, fills: bool = True) -> Transform:
        """The same encoding and scaling, its numbers learnt anew from ``frame``; code tables stay (see ``widened``).

        ``weight`` (n,): how much each row counts for mean and deviation. Without ``fills`` missing values are filled
        as before: networks that fill them alike can stand side by side in one file.
        """
        if self.layout != "matrix":
            return self
        features = tuple(self._fitted_feature(f, frame, weight) for f in self.features)
        if not fills:
            pairs = zip(features, self.features, strict=True)
            features = tuple(dataclasses.replace(new, fill=old.fill) for new, old in pairs)
        return dataclasses.replace(self, features=features)

    def _fitted_feature(self, feature: Feature, frame: pl.DataFrame, weight: Array | None) -> Feature:
        if feature.encoding != "value" and not (self.scaling in OF_ALL and feature.is_scalable):
            return feature
        if feature.encoding == "value":
            values = frame[feature.column].to_numpy().astype(np.float64)
        else:
            values = encode_unscaled(feature, frame[feature.column])
        finite = np.isfinite(values)
        values, weight = values[finite], None if weight is None else weight[finite]
        if not len(values):
            return feature
        fill = feature.fill
        if feature.encoding == "value" and fill is not None:
            fill = float(np.median(values))
        if feature.function != "none":
            values = transform_column(feature.function, values, feature.column)
        kind: Scaling = "standard_but_flags" if self.scaling == "given" else self.scaling
        center, scale = scaling_numbers(kind, values, weight)
        return dataclasses.replace(feature, fill=fill, center=center, scale=scale)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Transform:
        raw = json.loads(text)
        features = tuple(
            Feature(**{**f, "categories": tuple(f["categories"]), "shape": tuple(f.get("shape", ()))})
            for f in raw.pop("features")
        )
        inputs = tuple(
            NamedInput(**{**i, "shape": tuple(i["shape"]), "columns": tuple(i["columns"])})
            for i in raw.pop("inputs", ())
        )
        return cls(features=features, inputs=inputs, **{**raw, "image": tuple(raw["image"])})


def scaling_numbers(scaling: Scaling, values: Array, weight: Array | None = None) -> tuple[float, float]:
    """Center and scale of a kind of scaling, from finite values (n,). A constant column gets scale 1."""
    if scaling == "standard_but_flags" and bool(np.isin(values, (0.0, 1.0)).all()):
        return 0.0, 1.0
    if scaling in ("standard", "standard_but_flags", "standard_all"):
        weight = None if weight is None or not weight.sum() > 0 else weight
        mean = float(np.average(values, weights=weight))
        return mean, _or_one(float(np.sqrt(np.average((values - mean) ** 2, weights=weight))), mean)
    if scaling == "robust":
        lower, middle, upper = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
        return middle, _or_one(upper - lower, middle)
    low, high = float(values.min()), float(values.max())
    if scaling in ("minmax", "minmax_all"):
        return low, _or_one(high - low, low)
    if scaling == "minmax_symmetric":
        return (low + high) / 2, _or_one((high - low) / 2, low)
    if scaling == "maxabs":
        return 0.0, _or_one(max(abs(low), abs(high)), 0.0)
    return (0.0, 255.0) if scaling == "divide_255" else (0.0, 1.0)


def _or_one(spread: float, level: float) -> float:
    """1 for a constant column: its spread is nothing but rounding, and a later value would be thrown far out by it."""
    return spread if spread > 1e-9 * max(1.0, abs(level)) or spread > 1e-6 * abs(level) > 0 else 1.0


def _restore_type(column: pl.Series, dtype: str) -> pl.Series:
    """Whole numbers or truth again, which cleaned rows hold as floats; with a gap they stay floats, as pandas reads."""
    if not dtype or column.null_count() or not column.dtype.is_float():
        return column
    if dtype == "int64":
        return column.cast(pl.Int64) if bool((column == column.round()).all()) else column
    return column != 0


def _encoded(feature: Feature, column: pl.Series) -> Array:
    """(n, width) of one feature."""
    if feature.encoding == "value":
        values = column.to_numpy().astype(np.float64)
        if feature.fill is not None:
            values = np.where(np.isfinite(values), values, feature.fill)
        if feature.function != "none":
            values = transform_column(feature.function, values, feature.column)
        if feature.center != 0.0 or feature.scale != 1.0:
            values = (values - feature.center) / feature.scale
        return values[:, None]
    if feature.encoding == "text":
        return column.cast(pl.String).fill_null("").to_numpy()[:, None]
    if feature.encoding == "integer":
        return _whole_numbers(feature, column.to_numpy().astype(np.float64))[:, None]
    if feature.shape:
        pixels = decode_images(column, feature.shape).reshape(len(column), feature.width)
        return np.asarray((pixels - feature.center) / feature.scale)
    codes = category_codes(column, feature.categories)
    if feature.encoding == "code" and feature.below is not None:
        return _whole_numbers(feature, np.where(codes < 0, np.nan, codes))[:, None]
    x = _place_codes(feature, codes, column)
    if feature.center != 0.0 or feature.scale != 1.0:
        x = (x - feature.center) / feature.scale
    return x


def _place_codes(feature: Feature, codes: Array, column: pl.Series) -> Array:
    if feature.fills_category:
        codes = np.where(column.is_null().to_numpy(), int(feature.fill or 0), codes)
    if feature.encoding == "code":
        missing = -1.0 if feature.fills_category else np.nan if feature.fill is None else feature.fill
        return np.where(codes < 0, missing, codes)[:, None]
    hot = np.zeros((len(codes), len(feature.categories)))
    known = codes >= 0
    hot[np.flatnonzero(known), codes[known]] = 1.0
    return hot[:, 1:] if feature.encoding == "onehot_drop_first" else hot


def encode_unscaled(feature: Feature, column: pl.Series) -> Array:
    """(n,) of one column of codes, or of 0 and 1, as they are before any scaling."""
    return _place_codes(feature, category_codes(column, feature.categories), column)[:, 0]


def _whole_numbers(feature: Feature, values: Array) -> Array:
    """The values (n,), each of them a place in the model's table. Raises BadData for any other, which has no answer."""
    top = np.inf if feature.below is None else feature.below
    wrong = ~((values >= (-np.inf if feature.below is None else 0)) & (values < top) & (values == np.round(values)))
    if not wrong.any():
        return values
    first = values[wrong][0]
    held = "no value" if np.isnan(first) else f"the value {first:g}"
    table = "" if feature.below is None else f" from 0 to {feature.below - 1:,}"
    raise BadData(
        f"{feature.column!r} holds {held} in {int(wrong.sum()):,} of {len(values):,} rows; the model takes a whole "
        f"number{table} there.",
        "Leave these rows out: the model has no answer to them.",
    )


def category_codes(column: pl.Series, categories: tuple[str, ...]) -> Array:
    """(n,) int64 position of each value in ``categories``; -1 where it is missing or not among them."""
    codes = column.cast(pl.String).cast(_enum(categories), strict=False).to_physical()
    return codes.cast(pl.Int64).fill_null(-1).to_numpy()


@lru_cache(maxsize=1024)
def _enum(categories: tuple[str, ...]) -> pl.Enum:
    return pl.Enum(categories)  # twice as fast as replacing each by its code
