"""Whether a network was trained on the logarithm of some columns: amounts, incomes and counts often are.

Looked for only in columns of numbers from 0 on that are far from symmetric, under the usual scalings.
How well a reading fits the rows proves no logarithm: a network that is hardly trained may fit them better under one
that it never saw. So it is taken where the deployed model's answers prove it, and asked about elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import Ambiguous
from evermodel.core.model.model import Model
from evermodel.core.model.transform import Feature, Scaling, Transform, scaling_numbers
from evermodel.core.model.value_transforms import ValueTransform, accepts_target, transform_target
from evermodel.registry.adoption.readings.reading import Reading

FUNCTIONS: tuple[ValueTransform, ...] = ("log1p", "log", "sqrt")
SCALINGS: tuple[Scaling, ...] = ("standard", "minmax", "robust", "none")
SKEWED = 1.0  # third standardised moment of a column that a team would think of a logarithm for
FEWEST_VALUES = 10  # distinct ones
MOST_COLUMNS = 12  # the most skewed are tried
STARTS = 2  # encodings from which it is looked for
Read = Callable[[Model, str], "Reading | None"]
IsBetter = Callable[[Reading, Reading], bool]


def search_functions(ranked: Sequence[Reading], frame: pl.DataFrame, read: Read, is_better: IsBetter) -> Reading | None:
    """A reading with functions of columns that is better than the best of ``ranked``; None where there is none.

    ``read`` scores a model under a transform, ``is_better`` compares two readings. Costs some tens of predictions of
    the sample where columns are skewed, none elsewhere.
    """
    plain = _take_starts(ranked)
    if not plain:
        return None
    columns = _find_skewed(plain[0].model.transform, frame)
    if not columns:
        return None
    best = ranked[0]
    for start in plain:
        for scaling in SCALINGS:
            made = apply_functions(
                start.model.transform, dict[str, ValueTransform](dict.fromkeys(columns, "log1p")), frame, scaling
            )
            best = _take_better(best, read(dataclasses.replace(start.model, transform=made), start.encoding), is_better)
    best = _toggle_columns(best, columns, frame, read, is_better)
    for column in _list_functions(best.model.transform):
        for function in FUNCTIONS[1:]:
            found = _list_functions(best.model.transform)
            values = _finite(frame[column])
            if accepts_target(function, values):
                changed = apply_functions(best.model.transform, {**found, column: function}, frame)
                best = _take_better(best, _reread(best, changed, read), is_better)
    if best is ranked[0]:
        return None
    functions = [f"{f.function} of {f.column}" for f in best.model.transform.features if f.function != "none"]
    return dataclasses.replace(best, encoding=", ".join([best.encoding, *functions])) if functions else None


def explain_functions(found: Reading, plain: Reading) -> Ambiguous:
    """That the model fits the rows much better under functions of columns, and how to say whether it was fed so."""
    made = [f"{f.function}:{f.column}" for f in found.model.transform.features if f.function != "none"]
    return Ambiguous(
        f"The model fits the reference rows much better with {found.description} (skill {found.skill:.3f}) than with "
        f"{plain.description} (skill {plain.skill:.3f}); it may have been trained so, or it is hardly trained.",
        f"Say how it is fed: {','.join([found.model.transform.scaling, *made])} or {plain.model.transform.scaling} as "
        "`transform`; or give its fitted scaler as `transform`, or the deployed model's answers for these rows as "
        "`predictions`.",
    )


def _list_functions(transform: Transform) -> dict[str, ValueTransform]:
    return {f.column: f.function for f in transform.features if f.function != "none"}


def _toggle_columns(
    best: Reading, columns: Sequence[str], frame: pl.DataFrame, read: Read, is_better: IsBetter
) -> Reading:
    """The reading with the logarithm put to and taken from one column after the other, as long as that is better."""
    for _ in range(len(columns)):
        before = best
        now = _list_functions(best.model.transform)
        for column in columns:
            changed = {c: f for c, f in now.items() if c != column} if column in now else {**now, column: "log1p"}
            transform = apply_functions(before.model.transform, changed, frame)
            best = _take_better(best, _reread(before, transform, read), is_better)
        if best is before:
            return best
    return best


def _reread(reading: Reading, transform: Transform, read: Read) -> Reading | None:
    return read(dataclasses.replace(reading.model, transform=transform), reading.encoding)


def _take_better(best: Reading, other: Reading | None, is_better: IsBetter) -> Reading:
    return other if other is not None and is_better(other, best) else best


def _take_starts(ranked: Sequence[Reading]) -> list[Reading]:
    """The best reading of each of the best encodings of a flat row."""
    found: dict[str, Reading] = {}
    for reading in ranked:
        if reading.model.transform.layout == "matrix" and len(found) < STARTS:
            found.setdefault(reading.encoding, reading)
    return list(found.values())


def _find_skewed(transform: Transform, frame: pl.DataFrame) -> list[str]:
    found = []
    for column in dict.fromkeys(f.column for f in transform.features if f.encoding == "value"):
        values = _finite(frame[column])
        if len(values) and values.min() >= 0 and len(np.unique(values)) >= FEWEST_VALUES:
            spread = values.std()
            skew = float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
            if skew > SKEWED:
                found.append((-skew, column))
    return [column for _, column in sorted(found)[:MOST_COLUMNS]]


def apply_functions(
    transform: Transform, functions: Mapping[str, ValueTransform], frame: pl.DataFrame, scaling: Scaling | None = None
) -> Transform:
    """The transform with these functions and no others, each changed column scaled anew.

    ``scaling``: of all numbers.
    """
    kind = scaling or transform.scaling
    features = []
    for feature in transform.features:
        function = functions.get(feature.column, "none")
        if feature.encoding == "value" and (scaling is not None or function != feature.function):
            feature = _scale_anew(feature, function, kind, frame)
        features.append(feature)
    return dataclasses.replace(transform, features=tuple(features), scaling=kind)


def _scale_anew(feature: Feature, function: ValueTransform, kind: Scaling, frame: pl.DataFrame) -> Feature:
    values = transform_target(function, _finite(frame[feature.column]))
    center, scale = scaling_numbers(kind, values)
    return dataclasses.replace(feature, function=function, center=center, scale=scale)


def _finite(column: pl.Series) -> Array:
    values = column.to_numpy().astype(np.float64)
    return np.asarray(values[np.isfinite(values)])
