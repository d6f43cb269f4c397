"""Predictions in the frame library that the rows came in."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from evermodel.registry.prediction import predict_rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    LiveFrame = TypeVar("LiveFrame", pd.DataFrame, pa.Table, "np.ndarray[Any, Any]")
    PolarsOrFile: TypeAlias = str | Path | pl.DataFrame | pl.LazyFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]


@overload
def predict(
    name: str,
    data: PolarsOrFile,
    *,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> pl.DataFrame: ...
@overload
def predict(
    name: str,
    data: LiveFrame,
    *,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> LiveFrame: ...
def predict(
    name: str,
    data: Any,
    *,
    version: str | None = None,
    accept: tuple[str, ...] = (),
    registry: str | Path | None = None,
) -> Any:
    """Predict rows with a version (by default the champion), in the frame library that the rows came in.

    As ``Model.predict``; ``predict_file`` writes the predictions to a file.

    Raises:
        BadData: the rows cannot be read.
        ContractBroken: the rows do not fit what the model expects.
        NotFound: there is no such model or version.

    Example:
        >>> import evermodel as em
        >>> em.predict("churn", "april.csv", registry="models").columns
        ['prediction', 'p_0', 'p_1']
    """
    predicted = predict_rows(name, data, version=version, accept=accept, registry=registry)
    return match_library(predicted.frame, data)


def match_library(predictions: pl.DataFrame, rows: Any) -> Any:
    """``predictions`` as the library of ``rows`` has them: pandas, Arrow, numpy; polars for anything else.

    pandas: a DataFrame with the index of ``rows``. Arrow: a Table. numpy: the predictions alone, of shape (n,), as
    scikit-learn gives them. No library is imported that ``rows`` did not come from.
    """
    if _is(rows, "pandas", "DataFrame"):
        frame = predictions.to_pandas()
        frame.index = rows.index
        return frame
    if _is(rows, "pyarrow", "Table") or _is(rows, "pyarrow", "RecordBatch"):
        return predictions.to_arrow()
    if _is(rows, "numpy", "ndarray"):
        return predictions["prediction"].to_numpy()
    return predictions


def _is(value: object, package: str, name: str) -> bool:
    """Whether ``value`` is of a class of a package, which is not imported for the question."""
    module = sys.modules.get(package)
    return module is not None and isinstance(value, getattr(module, name))
