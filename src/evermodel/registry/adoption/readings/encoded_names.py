"""Names that dummies gave a model's inputs, ``city_Rome``: which column and which category each stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from evermodel.core.contracts.inference import KnownColumn
from evermodel.core.data.scan import collect
from evermodel.core.data.values import canonical_text
from evermodel.core.model.transform import Feature
from evermodel.core.records.column_roles import Roles

SIGNS = ("_", "=", "__", "-", ".", ":", " ")  # between a column's name and a category's
STEP = "__"  # behind the step of a ColumnTransformer that made the column: onehot__city_Rome
MOST_CATEGORIES = 1_000  # of a column that may have been coded so


@dataclass(frozen=True)
class EncodedNames:
    """A feature for each of the model's inputs, in order, and what their names say of the columns."""

    features: tuple[Feature, ...]
    known: Mapping[str, KnownColumn]

    @property
    def columns(self) -> tuple[str, ...]:
        """Each column once."""
        return tuple(dict.fromkeys(feature.column for feature in self.features))


def read_encoded_names(names: Sequence[str], frame: pl.LazyFrame, roles: Roles) -> EncodedNames | None:
    """What the names of the model's inputs say where some of them are dummies; None unless that explains every name.

    A name is a column of the rows, or a column, a sign and one of its values. Cost: one pass over the columns that a
    name begins with.
    """
    schema = frame.collect_schema()
    columns = roles.input_columns(schema.names())
    if all(name in columns for name in names):
        return None
    bare = [name if name in columns else _cut_step(name, columns) for name in names]
    started = {c for c in columns if any(name.startswith(c) and name not in columns for name in bare)}
    values = {column: _list_values(frame, column, schema[column]) for column in sorted(started)}
    found = [_read_name(name, columns, values) for name in bare]
    features = tuple(feature for feature in found if feature is not None)
    coded = {feature.column for feature in features if feature.encoding != "value"}
    both = coded & {feature.column for feature in features if feature.encoding == "value"}
    if len(features) < len(names) or both or not coded:
        return None
    known = {column: KnownColumn("category", tuple(values[column])) for column in sorted(coded)}
    return EncodedNames(_add_bases(features, values), known)


def _add_bases(features: tuple[Feature, ...], values: dict[str, list[str]]) -> tuple[Feature, ...]:
    """The features with the first category of a column where it has no name: it was dropped, and is no unknown one."""
    named = {(feature.column, value) for feature in features for value in feature.categories}
    bases = {column: found[0] for column, found in values.items() if found and (column, found[0]) not in named}
    return tuple(
        replace(f, encoding="onehot_drop_first", categories=(bases[f.column], *f.categories))
        if f.encoding == "onehot" and f.column in bases
        else f
        for f in features
    )


def _cut_step(name: str, columns: Sequence[str]) -> str:
    step, sign, rest = name.partition(STEP)
    return rest if sign and step and any(rest.startswith(column) for column in columns) else name


def _list_values(frame: pl.LazyFrame, column: str, dtype: pl.DataType) -> list[str]:
    texts = canonical_text(pl.col(column), dtype)
    found = collect(frame.select(texts.alias("x")).unique().drop_nulls().head(MOST_CATEGORIES + 1))["x"]
    return sorted(found.to_list()) if len(found) <= MOST_CATEGORIES else []


def _read_name(name: str, columns: Sequence[str], values: dict[str, list[str]]) -> Feature | None:
    if name in columns:
        return Feature(name)
    for column in sorted(values, key=len, reverse=True):
        for value in values[column]:
            if any(name == f"{column}{sign}{value}" for sign in SIGNS):
                return Feature(column, "onehot", categories=(value,))
    return None
