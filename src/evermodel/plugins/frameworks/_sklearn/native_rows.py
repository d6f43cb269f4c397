"""Rows as the estimator was fitted on them: pandas frames with the names, types and values of its training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, MissingExtra
from evermodel.plugins.frameworks._sklearn.fitted_columns import FittedColumn, find_columns, text_of, tolerate_unknown
from evermodel.plugins.frameworks._sklearn.own_steps import find_own_start, takes_frame


def restore_values(obj: Any, x: pl.DataFrame) -> pl.DataFrame:
    """Cleaned rows with each category as the object's encoders spell it, and texts that are never missing."""
    known = find_columns(obj)
    columns = [_restore_column(x[name], known[at]) if at in known else x[name] for at, name in enumerate(x.columns)]
    return pl.DataFrame(columns)


def build_input(obj: Any, x: pl.DataFrame) -> Any:
    """What the object's own methods take, of rows whose values are restored: a frame, an array, or a list of texts."""
    if hasattr(obj, "feature_names_in_"):
        frame = to_pandas(x)
        for at, column in find_columns(obj).items():
            if column.is_dtype and x.dtypes[at] != pl.Enum:  # categories that are numbers
                name = x.columns[at]
                frame[name] = frame[name].astype("category")
        return frame
    start = find_own_start(obj)
    if start is not None and takes_frame(start, frame := to_pandas(x)):
        return frame
    if not hasattr(obj, "n_features_in_") and x.width == 1 and x.dtypes[0] == pl.String:
        return x.to_series().to_list()
    if pl.String in x.dtypes:
        return np.column_stack([_to_objects(column) for column in x])
    return x.to_numpy()


def name_columns(obj: Any, x: Array) -> Any:
    """A matrix as the object was fitted on it: a frame with its own names where it has some (of dummies, say)."""
    names = getattr(obj, "feature_names_in_", None)
    if names is None or x.ndim != 2 or x.shape[1] != len(names):
        return x
    return to_pandas(pl.DataFrame(x, schema=[str(name) for name in names]))


def to_pandas(x: pl.DataFrame) -> Any:
    """The same rows in pandas: missing values are NaN, an Enum is a category with all values of its table."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra.for_package("pandas", "sklearn", "A pipeline that was fitted on named columns") from None
    columns: dict[str, Any] = {}
    for column in x:
        if isinstance(column.dtype, pl.Enum):
            codes = column.to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
            columns[column.name] = pd.Categorical.from_codes(codes, categories=column.dtype.categories.to_list())
        elif column.dtype == pl.String:
            columns[column.name] = _to_objects(column)
        else:
            columns[column.name] = column.to_numpy()
    return pd.DataFrame(columns)


def find_unknown(obj: Any, x: pl.DataFrame) -> Mapping[str, pl.Series]:
    """Column -> which rows hold a value that the object's encoders refuse; columns without any are left out."""
    found = {}
    for at, column in find_columns(obj).items():
        if not column.refuses_unknown:
            continue
        series = x[x.columns[at]]
        table = pl.Series(list(column.categories), dtype=series.dtype, strict=False)
        unknown = ~series.is_in(table.implode()) & series.is_not_null()
        if unknown.any():
            found[series.name] = unknown
    return found


def choose_predicting(obj: Any, x: pl.DataFrame) -> Any:
    """The object itself; a tolerant copy where rows hold values that it would raise for."""
    return tolerate_unknown(obj) if find_unknown(obj, x) else obj


def _restore_column(series: pl.Series, known: FittedColumn) -> pl.Series:
    if known.kind == "text":
        return series.cast(pl.String).fill_null("")
    if known.kind == "boolean":
        return _to_boolean(series)
    if known.kind == "number":
        if series.dtype == pl.String:
            raise BadData(f"The model was fitted on numbers in {series.name!r}; the rows hold words there.")
        return series
    if series.dtype == pl.Enum:  # restored before
        return series
    texts = series if series.dtype == pl.String else _spell(series)
    own = {text_of(category): category for category in known.categories}
    if known.is_dtype:
        table = [*own.values()]
        more = sorted(set(texts.drop_nulls().unique().to_list()) - {*own, *map(str, table)})
        return texts.replace(own).cast(pl.Enum([*map(str, table), *more]))
    respelled = {text: category for text, category in own.items() if isinstance(category, str) and text != category}
    return texts.replace(respelled) if respelled else texts


def _to_boolean(series: pl.Series) -> pl.Series:
    if series.dtype == pl.String:
        raise BadData(f"The model was fitted on true and false in {series.name!r}; the rows hold words there.")
    return series if series.dtype == pl.Boolean or series.null_count() else series != 0


def _spell(series: pl.Series) -> pl.Series:
    return pl.Series(series.name, [None if v is None else text_of(v) for v in series], dtype=pl.String)


def _to_objects(column: pl.Series) -> Array:
    """(n,) objects; a missing value is NaN, as pandas reads it from a file."""
    values = column.to_numpy().astype(object)
    values[column.is_null().to_numpy()] = np.nan
    return values
