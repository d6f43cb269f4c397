"""Live objects: polars, pandas, Arrow, numpy, Hugging Face datasets, Arrow streams, dicts of columns, lists of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evermodel.core.errors import BadData, MissingExtra, NoData
from evermodel.core.plugins import Confidence

__all__ = ["frames", "recognize"]
UNREADABLE = (  # what polars and pyarrow raise for columns of mixed objects
    TypeError,
    ValueError,
    OverflowError,
    NotImplementedError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
_PACKAGES = ("polars", "pandas", "pyarrow", "numpy")
SUFFIXES: tuple[str, ...] = ()


def recognize(source: Any, /) -> Confidence:
    """A frame of a known package, by the module of its type; what gives an Arrow stream; columns or rows as dicts."""
    if type(source).__module__.split(".")[0] == "datasets" or hasattr(type(source), "__arrow_c_stream__"):
        return Confidence.CERTAIN
    if type(source).__module__.split(".")[0] in _PACKAGES:
        return Confidence.NO if isinstance(source, np.generic) else Confidence.CERTAIN
    records = isinstance(source, list) and all(isinstance(record, dict) for record in source[:100])
    return Confidence.CERTAIN if records or isinstance(source, dict) else Confidence.NO


def frames(source: Any, /) -> pl.LazyFrame:
    """The rows of a live frame; nothing is copied where its package shares memory.

    A two-dimensional numpy array (n, d) has columns "0" … "d-1". A Hugging Face dataset gives the rows of one split as
    they are stored, a column of pictures as their bytes; what else gives an Arrow stream, such as a DuckDB relation, is
    read once. Raises BadData where it is not a table.
    """
    frame = _read_frame(source)
    if not any(isinstance(dtype, pl.Struct) for dtype in frame.collect_schema().values()):
        return frame
    from evermodel.core.data.image_columns import unpack_pictures

    return unpack_pictures(frame)


def _read_frame(source: Any) -> pl.LazyFrame:
    package = type(source).__module__.split(".")[0]
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if package == "polars":
        raise BadData(f"A polars {type(source).__name__} is not a table.", "Give a DataFrame or LazyFrame.")
    try:
        if package == "pandas":
            return _pandas(source)
        if package == "pyarrow":
            return _arrow(source)
        if package == "numpy":
            return _numpy(source)
        if package == "datasets":
            return _dataset(source)
        if hasattr(type(source), "__arrow_c_stream__"):
            return pl.DataFrame(source).lazy()
        return _plain(source)
    except ImportError:
        raise MissingExtra.for_package("pyarrow", "pandas", f"Reading a {package} frame") from None
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        line = (str(error).splitlines() or [""])[0][:200]
        raise BadData(f"The {type(source).__name__} cannot be read as a table: {line}") from None


def _pandas(source: Any) -> pl.LazyFrame:
    if getattr(source, "ndim", 0) != 2:
        raise BadData(f"A pandas {type(source).__name__} is not a table.", "Give a DataFrame.")
    names = [str(c) for c in source.columns]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise BadData(f"The frame has two columns of one name: {', '.join(map(repr, twice[:5]))}.", "Rename one.")
    columns = {n: _object_column(source.iloc[:, i]) for i, n in enumerate(names)}
    return pl.DataFrame(columns).lazy()


def _object_column(column: Any) -> pl.Series:
    """One pandas column; mixed objects become text, as they would in a file."""
    try:
        return pl.Series(pl.from_pandas(column.reset_index(drop=True)))
    except UNREADABLE:
        texts = [None if v is None or v != v else str(v) for v in column]
        return pl.Series(texts, dtype=pl.String)


def _arrow(source: Any) -> pl.LazyFrame:
    found = pl.from_arrow(source)
    if isinstance(found, pl.Series):
        raise BadData(f"An Arrow {type(source).__name__} is not a table.", "Give a Table or RecordBatch.")
    return found.lazy()


def _dataset(source: Any) -> pl.LazyFrame:
    """A dataset of Hugging Face in its own order: the rows that were selected, and none of a chosen format."""
    if isinstance(source, dict):
        splits = ", ".join(map(str, source))
        raise BadData(
            f"A {type(source).__name__} holds several tables: {splits}.", "Give one of them, such as d['train']."
        )
    if not hasattr(source, "with_format") or not hasattr(source, "num_rows"):
        raise BadData(f"A {type(source).__name__} cannot be read twice.", "Give a Dataset that is not streamed.")
    return _arrow(source.with_format("arrow")[:])


def _numpy(source: Any) -> pl.LazyFrame:
    if source.dtype.names:
        return pl.DataFrame({n: np.ascontiguousarray(source[n]) for n in source.dtype.names}).lazy()
    if source.ndim != 2:
        raise BadData(f"An array must be two-dimensional, rows by columns. Got shape {source.shape}.")
    if not source.size:
        raise NoData(f"The array of shape {source.shape} is empty.")
    if source.dtype == object:
        return pl.DataFrame({str(i): _mixed(source[:, i].tolist()) for i in range(source.shape[1])}).lazy()
    return pl.DataFrame(source, schema=[str(i) for i in range(source.shape[1])], orient="row").lazy()


def _plain(source: Any) -> pl.LazyFrame:
    if not source:
        raise NoData("There are no rows.")
    if isinstance(source, dict):
        columns = {str(k): v if isinstance(v, np.ndarray) else _mixed(list(v)) for k, v in source.items()}
        return pl.DataFrame(columns).lazy()
    names = list(dict.fromkeys(str(k) for row in source for k in row))
    return pl.DataFrame({n: _mixed([row.get(n) for row in source]) for n in names}).lazy()


def _mixed(values: list[Any]) -> pl.Series:
    """A column of Python values; of several kinds together they become text, as they would in a file."""
    try:
        return pl.Series(values, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        kinds = {type(v) for v in values if v is not None}
        if kinds <= {int, float, bool}:
            return pl.Series([None if v is None else float(v) for v in values], dtype=pl.Float64)
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
