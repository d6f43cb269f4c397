"""Reads the columns out of the body of a request: JSON as MLflow has it, CSV, Arrow or Parquet."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import polars as pl

from evermodel.core.data.scan import check_columns, reading
from evermodel.core.errors import BadData
from evermodel.server.checked_rows import SHOWN, CheckedRows, RefusedRow, RowChecker

JSON, CSV = "application/json", "text/csv"
ARROW_STREAM, ARROW_FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (JSON, CSV, ARROW_STREAM, ARROW_FILE, PARQUET)
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")  # keys of an MLflow body, one of them a body
_decode = msgspec.json.Decoder().decode


class TooManyRows(BadData):
    """The request has more rows than the server answers at once."""


@dataclass(frozen=True)
class RequestRows:
    """The rows of a request, by column; the checker says which of them fit."""

    columns: Mapping[str, Sequence[Any]]
    total: int
    absent: tuple[RefusedRow, ...] = ()  # rows that lack a column
    frame: pl.DataFrame | None = None  # where the body was a table; then ``columns`` is empty

    def check(self, checker: RowChecker) -> CheckedRows:
        """The rows that fit. Raises ContractBroken where a column is missing in all of them."""
        if self.frame is not None:
            return checker.check_frame(self.frame)
        return checker.check_columns(self.columns, self.total, self.absent)

    def read_column(self, name: str) -> Sequence[Any] | None:
        """A column that may be no input of the model, such as an id; None where the request has none."""
        if self.frame is None:
            values = self.columns.get(name)
            return values.tolist() if isinstance(values, np.ndarray) else values
        return self.frame[name].to_list() if name in self.frame.columns else None

    def has_column(self, name: str) -> bool:
        return name in self.columns if self.frame is None else name in self.frame.columns


def read_body(body: bytes, media_type: str, names: Sequence[str], most_rows: int) -> RequestRows:
    """The rows of a body; ``names``: the model's inputs, for rows without names. Raises BadData, TooManyRows."""
    if media_type == JSON:
        return _limit(read_json(body, names), most_rows)
    frame = _read_frame(body, media_type)
    check_columns(frame.schema)
    return _limit(RequestRows({}, frame.height, frame=frame), most_rows)


def read_json(body: bytes, names: Sequence[str]) -> RequestRows:
    """MLflow's forms: ``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``."""
    try:
        held = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"The body is not JSON: {error}.") from None
    if not isinstance(held, dict):
        raise BadData(f"The body must be a JSON object with one of {', '.join(FORMS)}.")
    given = [form for form in FORMS if form in held]
    if len(given) != 1:
        raise BadData(
            f"The body must have one of {', '.join(FORMS)}. It has {len(given)} of them.",
            'For example {"dataframe_records": [{"age": 41, "city": "Bern"}]}.',
        )
    rows = held[given[0]]
    if given[0] == "dataframe_split":
        return _read_split(rows)
    if isinstance(rows, dict):
        return read_named_columns(rows)
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        return _read_records(rows, names)
    if isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        return _read_lists(rows, names)
    if isinstance(rows, list) and len(names) == 1:
        return RequestRows({names[0]: rows}, len(rows))
    raise BadData(f"{given[0]!r} must be a list of rows, each an object or a list.")


def read_named_columns(columns: Mapping[str, Any]) -> RequestRows:
    """Columns by their name, each a list of the same length."""
    wrong = next((name for name, values in columns.items() if not isinstance(values, list)), None)
    if wrong is not None:
        raise BadData(f"The column {wrong[:SHOWN]!r} must be a list of values.")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise BadData(f"All columns must have one length. They have {', '.join(map(str, sorted(lengths)[:5]))}.")
    return RequestRows(columns, lengths.pop() if lengths else 0)


def _read_split(held: Any) -> RequestRows:
    is_split = isinstance(held, dict) and all(isinstance(held.get(key), list) for key in ("columns", "data"))
    if not is_split:
        raise BadData('"dataframe_split" must hold two lists, "columns" and "data".')
    names = held["columns"]
    try:
        _check_names(tuple(names))
    except TypeError:  # a list among the names
        raise BadData(_WRONG_NAMES) from None
    return _read_lists(held["data"], names)


_WRONG_NAMES = 'The names in "columns" must be texts, each once.'


@lru_cache(maxsize=256)  # clients send the same names again and again
def _check_names(names: tuple[Any, ...]) -> None:
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise BadData(_WRONG_NAMES)


def _read_lists(rows: list[Any], names: Sequence[str]) -> RequestRows:
    """Rows as lists of values in the order of ``names``. A row of another length is refused by itself."""
    width = len(names)
    if not all(isinstance(row, list) for row in rows):
        raise BadData("Each row must be a list of values.")
    lengths = set(map(len, rows))
    if lengths <= {width}:
        return RequestRows(dict(zip(names, zip(*rows, strict=True), strict=False)), len(rows))
    if width not in lengths:
        shown = ", ".join(map(str, sorted(lengths)[:5]))
        raise BadData(f"A row must have {width} values: {', '.join(names)[:500]}. The rows have {shown}.")
    absent = tuple(
        RefusedRow(at, "", f"has {len(row)} values, and there are {width} columns")
        for at, row in enumerate(rows)
        if len(row) != width
    )
    blank = [None] * width
    whole = [row if len(row) == width else blank for row in rows]
    return RequestRows(dict(zip(names, zip(*whole, strict=True), strict=True)), len(rows), absent)


def _read_records(rows: list[Any], names: Sequence[str]) -> RequestRows:
    """Rows as objects. A row that lacks a column is refused by itself; one that all lack is missing."""
    if not all(isinstance(row, dict) for row in rows):
        raise BadData("Each row must be an object, as the first one is.")
    columns: dict[str, Sequence[Any]] = {}
    absent: list[RefusedRow] = []
    for name in dict.fromkeys((*names, *rows[0])):
        try:
            columns[name] = list(map(itemgetter(name), rows))
        except KeyError:
            if not any(name in row for row in rows):
                continue
            columns[name] = [row.get(name) for row in rows]
            if name in names:
                absent += [RefusedRow(at, name, "is not in this row") for at, row in enumerate(rows) if name not in row]
    return RequestRows(columns, len(rows), tuple(absent))


def _read_frame(body: bytes, media_type: str) -> pl.DataFrame:
    readers: dict[str, Callable[[io.BytesIO], pl.DataFrame]] = {
        CSV: partial(pl.read_csv, infer_schema_length=None),
        ARROW_STREAM: pl.read_ipc_stream,
        ARROW_FILE: pl.read_ipc,
        PARQUET: pl.read_parquet,
    }
    with reading("The body"):
        return readers[media_type](io.BytesIO(body))


def _limit(rows: RequestRows, most: int) -> RequestRows:
    if rows.total > most:
        raise TooManyRows(f"A request may have at most {most:,} rows. It has {rows.total:,}.", "Send them in parts.")
    if not rows.total:
        raise BadData("The request has no rows.")
    return rows
