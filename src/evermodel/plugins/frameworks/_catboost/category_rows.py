"""Rows as CatBoost takes them: an array, or a frame whose categorical columns hold texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, MissingExtra

MISSING = "nan"  # as pandas writes a missing value as a text; CatBoost itself takes none in a category


def build_rows(x: Any, width: int, categorical: Sequence[int], names: Sequence[str] | None) -> Any:
    """``x``, an array (n, d) or a frame, for a model of ``width`` columns. Raises BadData for another width.

    A category is a text: CatBoost knows its values by a hash of that. 3 and 3.0 are both "3".
    """
    if x.shape[1] != width:
        raise BadData(f"The booster expects rows of {width} columns. Got {x.shape[1]}.")
    if not isinstance(x, pl.DataFrame):
        return np.asarray(x)
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra.for_package("pandas", "catboost", "A CatBoost model with categorical columns") from None
    columns = {}
    for at, column in enumerate(x):
        name = column.name if names is None else names[at]
        columns[name] = spell_categories(column) if at in categorical else column.cast(pl.Float64).to_numpy()
    return pd.DataFrame(columns)


def spell_categories(column: pl.Series) -> Array:
    """(n,) texts: whole numbers without a point, a missing value as MISSING."""
    if column.dtype.is_float():
        values = column.to_list()
        texts = [MISSING if v is None or v != v else str(int(v)) if float(v).is_integer() else str(v) for v in values]
        return np.asarray(texts, dtype=object)
    return column.cast(pl.String).fill_null(MISSING).to_numpy().astype(object)
