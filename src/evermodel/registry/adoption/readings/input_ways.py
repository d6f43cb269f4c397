"""The ways in which the rows of a table can be fed to a bare model: which columns, encoded and scaled how."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import ContractBroken
from evermodel.core.model.framework import Signature
from evermodel.core.model.model import Model
from evermodel.core.model.transform import (
    OF_ALL,
    Encoding,
    Feature,
    Scaling,
    Transform,
    encode_unscaled,
    scaling_numbers,
)
from evermodel.registry.adoption.readings.column_choices import list_column_choices
from evermodel.registry.adoption.signatures.named_inputs import list_input_features, order_columns

SCALINGS: tuple[Scaling, ...] = (
    *("none", "standard", "standard_but_flags", "minmax", "minmax_symmetric", "maxabs", "robust", "divide_255"),
    *OF_ALL,
)
CODED: tuple[Encoding, ...] = ("code", "onehot", "onehot_drop_first")
PIXELS: tuple[tuple[Scaling, float, float], ...] = (
    ("none", 0.0, 1.0),
    ("divide_255", 0.0, 255.0),
    ("minmax_symmetric", 127.5, 127.5),
)


def list_ways(model: Model, sample: Table, scaling: Scaling | None = None) -> Iterator[tuple[Model, str]]:
    """The model with each choice of columns and each way to feed them to it; ``scaling``: under that one alone.

    Raises ContractBroken where none fits.
    """
    usual = SCALINGS if model.signature.network else SCALINGS[:1]
    scalings = usual if scaling is None else (scaling,)
    misfit: ContractBroken | None = None
    fits = False
    for contract, left_out in list_column_choices(model.contract, sample.frame):
        chosen = dataclasses.replace(model, contract=contract)
        try:
            for transform, encoding in _list_transforms(chosen, sample, scalings):
                fits = True
                yield dataclasses.replace(chosen, transform=transform), encoding + left_out
        except ContractBroken as error:
            misfit = misfit or error  # that of all columns
    if not fits and misfit is not None:
        raise misfit


def _list_transforms(model: Model, sample: Table, scalings: tuple[Scaling, ...]) -> Iterator[tuple[Transform, str]]:
    needs, contract = model.signature, model.contract
    if model.transform.features:  # as the names of the inputs say
        for scaling in scalings:
            if scaling not in OF_ALL:
                yield (
                    _scale_features(model.transform.features, scaling, sample.frame, needs),
                    "one-hot as its names say",
                )
        return
    if needs.layout == "frame":
        features = tuple(Feature(c.name, dtype=_find_stored_type(c)) for c in contract.columns)
        pictures = any(column.kind == "image" for column in needs.columns.values())
        way = "pixels as its own image processor makes them" if pictures else "as named columns"
        yield Transform(features, layout="frame"), way
        return
    if model.transform.inputs:
        yield from _list_named_transforms(model, sample, scalings)
        return
    if any(c.kind == "image" for c in contract.columns):
        yield from _list_image_transforms(contract, needs)
        return
    for features, encoding in _list_encodings(contract, needs):
        coded = any(feature.encoding in CODED for feature in features)
        for scaling in scalings:
            if coded or scaling not in OF_ALL or len(scalings) == 1:
                yield _scale_features(features, scaling, sample.frame, needs), encoding


def _list_named_transforms(
    model: Model, sample: Table, scalings: tuple[Scaling, ...]
) -> Iterator[tuple[Transform, str]]:
    """Each way to encode and scale the columns of the named inputs; whole numbers stay as they are."""
    needs, inputs = model.signature, model.transform.inputs
    exact = any(part.is_whole for part in inputs)
    for features, encoding in list_input_features(model.contract, inputs):
        scaled = any(feature.encoding == "value" for feature in features)
        for scaling in scalings if scaled else SCALINGS[:1]:
            transform = _scale_features(features, scaling, sample.frame, needs)
            dtype = "float64" if exact else transform.dtype
            transform = dataclasses.replace(transform, inputs=order_columns(inputs, features), dtype=dtype)
            yield from _list_pixel_scalings(transform, encoding)


def _list_pixel_scalings(transform: Transform, encoding: str) -> Iterator[tuple[Transform, str]]:
    """The transform with its pictures as they are, and scaled in the two usual ways; itself where it has none."""
    if not any(feature.shape for feature in transform.features):
        yield transform, encoding
        return
    for scaling, center, scale in PIXELS:
        features = tuple(
            dataclasses.replace(f, center=center, scale=scale) if f.shape else f for f in transform.features
        )
        yield dataclasses.replace(transform, features=features), f"{encoding}, pixels: {scaling}"


def _find_stored_type(column: Column) -> Literal["", "int64", "bool"]:
    """The type in which a pipeline for frames gets the column, besides floats and texts."""
    if column.kind == "boolean":
        return "bool"
    return "int64" if column.kind == "number" and column.whole and not column.dtype.startswith("Float") else ""


def _list_image_transforms(contract: Contract, needs: Signature) -> Iterator[tuple[Transform, str]]:
    if needs.shape is None or len(needs.shape) != 3:
        raise ContractBroken(f"The model takes input of shape {needs.shape}, and the data are pictures.")
    column = next(c for c in contract.columns if c.kind == "image")
    for scaling, center, scale in PIXELS:
        feature = Feature(column.name, "image", center=center, scale=scale)
        yield Transform((feature,), layout="image", scaling=scaling, image=needs.shape), "pixels"


def _list_encodings(contract: Contract, needs: Signature) -> list[tuple[tuple[Feature, ...], str]]:
    """Every way to encode the columns that has the width the model takes; code tables alone where it does not say."""
    _refuse_other_shapes(contract, needs)
    categories = [c for c in contract.columns if c.kind == "category"]
    others = [c for c in contract.columns if c.kind != "category"]
    found: dict[tuple[Feature, ...], str] = {}
    ways: tuple[tuple[Encoding, Encoding, str], ...] = (  # of two categories, of more
        ("onehot", "onehot", "one-hot"),
        ("onehot_drop_first", "onehot_drop_first", "one-hot without the first"),
        ("onehot_drop_first", "onehot", "one-hot, two categories as 0 and 1"),
        ("code", "code", "category codes"),
    )
    width = needs.shape[0] if needs.shape else None
    orders: tuple[tuple[tuple[Column, ...], str], ...] = (
        (contract.columns, ""),
        ((*others, *categories), ", numbers first"),
    )
    for of_two, of_more, said in ways[3:] if width is None or needs.columns else ways:
        for columns, order in orders if needs.names is None else orders[:1]:
            features = tuple(
                Feature(c.name, of_two if len(c.categories) == 2 else of_more, categories=c.categories)
                if c.kind == "category"
                else Feature(c.name)
                for c in columns
            )
            if width in (None, sum(f.width for f in features)):
                found.setdefault(features, (said if categories else "numbers") + (order if categories else ""))
    if not found:
        raise ContractBroken(_describe_width(contract, width), "Name the model's input columns in order as `inputs`.")
    return list(found.items())


def _refuse_other_shapes(contract: Contract, needs: Signature) -> None:
    """Raises ContractBroken for texts where the model takes numbers, and for a model of windows or grids."""
    texts = [c.name for c in contract.columns if c.kind == "text"]
    if texts:
        raise ContractBroken(
            f"{texts[0]!r} holds texts, and the model takes numbers.",
            "Leave it out with `drop`; or adopt one pipeline that begins with the model's vectorizer.",
        )
    if needs.shape is not None and int(np.prod(needs.shape[1:])) != 1:
        shape, inner = " x ".join(map(str, needs.shape)), ", ".join(map(str, needs.shape))
        raise ContractBroken(
            f"The model takes rows of the shape {shape}; a row of a table is flat, here of {len(contract.columns)} "
            "columns.",
            f"Put a layer before it that makes this shape of {int(np.prod(needs.shape))} columns, such as "
            f"Reshape(({inner})) of Keras or torch.nn.Unflatten(1, ({inner})), adopt that model, and name its columns "
            "in order as `inputs`.",
        )


def _describe_width(contract: Contract, width: int | None) -> str:
    numbers = sum(c.kind != "category" for c in contract.columns)
    hot = sum(len(c.categories) for c in contract.columns if c.kind == "category")
    coded = len(contract.columns) - numbers
    return (
        f"The model takes {width} inputs; the data have {numbers} numbers and {coded} category columns: "
        f"{numbers + coded} as codes, {numbers + hot} one-hot, {numbers + hot - coded} one-hot without the first."
    )


def _scale_features(
    features: tuple[Feature, ...], scaling: Scaling, frame: pl.DataFrame, needs: Signature
) -> Transform:
    scaled = list[Feature]()
    for feature in features:
        if scaling in OF_ALL and feature.encoding in CODED and feature.below is None:
            scaled += _scale_categories(feature, scaling, frame[feature.column])
            continue
        if feature.encoding != "value":
            pinned = feature.encoding in ("integer", "image", "text") or feature.below is not None
            scaled.append(dataclasses.replace(feature, fill=-1.0) if needs.network and not pinned else feature)
            continue
        values = frame[feature.column].to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            values = np.zeros(1)
        center, scale = scaling_numbers(scaling, values)
        fill = float(np.median(values)) if needs.network else None  # trees and pipelines take missing values
        scaled.append(dataclasses.replace(feature, center=center, scale=scale, fill=fill))
    return Transform(tuple(scaled), scaling=scaling, dtype="float32" if needs.network else "float64")


def _scale_categories(feature: Feature, scaling: Scaling, column: pl.Series) -> list[Feature]:
    """The column's codes scaled, or a scaled feature for each of its one-hot columns."""
    if feature.encoding == "code":
        parts = [dataclasses.replace(feature, fill=-1.0)]
    else:
        base = feature.categories[: 1 if feature.encoding == "onehot_drop_first" else 0]
        shown = feature.categories[len(base) :]
        parts = [Feature(feature.column, feature.encoding, categories=(*base, value)) for value in shown]
    found = []
    for part in parts:
        center, scale = scaling_numbers(scaling, encode_unscaled(part, column))
        found.append(dataclasses.replace(part, center=center, scale=scale))
    return found
