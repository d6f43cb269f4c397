"""Checks the rows of a request against the model's input signature: a wrong row is refused by itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.chat_columns import is_conversation, write_question
from evermodel.core.data.column_cleaning import LARGEST, raw_value
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.list_columns import name_places, read_lists
from evermodel.core.data.values import FALSE, TRUE, is_missing_text, number, parse_moment
from evermodel.core.errors import ContractBroken
from evermodel.core.records.model_signature import ListLayout

SHOWN = 60  # characters of a name that an error repeats
_NUMBERS = frozenset({int, float, bool, type(None)})
_TEXTS = frozenset({str, type(None)})
_NUMERIC_KINDS = ("number", "boolean")


@dataclass(frozen=True)
class RefusedRow:
    """A row that does not fit the signature. Its values are not repeated: they may be personal data."""

    row: int
    column: str
    reason: str


@dataclass(frozen=True)
class CheckedRows:
    """The rows that fit, cleaned as the contract says, and which those are."""

    numbers: Array  # (n, k) float64: the number and boolean columns in the contract's order, NaN where missing
    texts: Mapping[str, list[Any]]  # the other columns: text or bytes, None where missing
    positions: Array | None  # (n,) places in the request; None where all rows fit
    refused: tuple[RefusedRow, ...]
    total: int  # rows of the request

    def __len__(self) -> int:
        return len(self.numbers)


class RowChecker:
    """Reads the columns that a model expects out of the columns of a request. Immutable, so used by several threads."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.numeric = tuple(c for c in contract.columns if c.kind in _NUMERIC_KINDS)
        self.textual = tuple(c for c in contract.columns if c.kind not in _NUMERIC_KINDS)
        self._names = tuple(contract.names)
        lists = [name.removesuffix("[0]") for name in self._names if name.endswith("[0]")]
        self._listed = {name: len(name_places(name, self._names)) for name in lists}
        for layout in contract.row_format.lists:
            self._listed.pop(layout.column, None)
        self._coded = tuple(at for at, column in enumerate(self.numeric) if column.below is not None)
        self._only_numbers = bool(self.numeric) and all(c.kind == "number" for c in self.numeric)

    def check_columns(
        self, columns: Mapping[str, Sequence[Any]], total: int, absent: Iterable[RefusedRow] = ()
    ) -> CheckedRows:
        """The rows of columns of JSON values, each ``total`` long. Raises ContractBroken for a missing column.

        ``absent``: rows that are known to lack a column; their values there are None.
        """
        refused: dict[int, RefusedRow] = {}
        for row in absent:
            refused.setdefault(row.row, row)
        if self._listed:
            columns = _flatten_lists(columns, self._listed)
        for layout in self.contract.row_format.lists:
            if layout.column in columns:
                columns = _lay_out_lists(columns, layout, refused)
        missing = [name for name in self._names if name not in columns]
        if missing:
            shown = ", ".join(repr(name[:SHOWN]) for name in missing[:10])
            raise ContractBroken(
                f"{'A column is' if len(missing) == 1 else 'Columns are'} missing: {shown}.",
                f"The model takes: {', '.join(self._names[:50])}.",
            )
        numbers = self._read_plain_numbers(columns, total)
        if numbers is None:
            numbers = np.empty((total, len(self.numeric)))
            for at, column in enumerate(self.numeric):
                numbers[:, at] = _read_numbers(column, columns[column.name], refused)
        read = _read_prompts if self.contract.task == "text" else _read_texts
        texts = {column.name: read(column, columns[column.name], refused) for column in self.textual}
        _drop_impossible(numbers)
        for at in self._coded:
            _refuse_outside_table(self.numeric[at], numbers[:, at], refused)
        checked = CheckedRows(numbers, texts, None, (), total)
        return checked if not refused else _keep_rest(checked, refused)

    def _read_plain_numbers(self, columns: Mapping[str, Sequence[Any]], total: int) -> Array | None:
        """All columns of numbers at once, where every value is a number or missing; else None."""
        if not self._only_numbers:
            return None
        held = [columns[column.name] for column in self.numeric]
        if any(isinstance(values, np.ndarray) for values in held):
            return None
        if not set(map(type, chain.from_iterable(held))) <= _NUMBERS:
            return None
        try:
            return np.ascontiguousarray(np.array(held, dtype=np.float64).reshape(len(held), total).T)
        except (OverflowError, ValueError):
            return None

    def check_frame(self, frame: pl.DataFrame) -> CheckedRows:
        """The rows of a frame that was read from an Arrow, Parquet or CSV body."""
        found: dict[str, Any] = {}
        if self.contract.row_format.lists:
            read, layouts = read_lists(frame.lazy(), self.contract.row_format.lists)
            found = {layout.column: read.select(layout.column).collect()[layout.column].to_list() for layout in layouts}
        schema, total = frame.schema, frame.height
        for column in self.contract.columns:
            if column.name not in schema:
                continue
            series = frame[column.name]
            plain = series.dtype.is_numeric() or series.dtype == pl.Boolean
            if column.kind == "number" and series.dtype.is_temporal():
                series = frame.select(number(pl.col(column.name), series.dtype)).to_series()
                plain = True
            if column.kind in _NUMERIC_KINDS and plain and series.dtype != pl.Boolean:
                found[column.name] = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
            elif column.kind not in (*_NUMERIC_KINDS, "image"):
                found[column.name] = frame.select(raw_value(column, series.dtype)).to_series().to_list()
            else:
                found[column.name] = series.to_list()
        return self.check_columns(found, total)

    def check_cleaned(self, frame: pl.DataFrame) -> CheckedRows:
        """Rows that are cleaned already, as a version's golden rows are."""
        numbers = np.empty((frame.height, len(self.numeric)))
        for at, column in enumerate(self.numeric):
            numbers[:, at] = frame[column.name].fill_null(np.nan).to_numpy()
        return CheckedRows(numbers, {c.name: frame[c.name].to_list() for c in self.textual}, None, (), frame.height)

    def build_frame(self, rows: CheckedRows) -> pl.DataFrame:
        """The rows as the frame that a ``Model`` predicts."""
        places = {column.name: at for at, column in enumerate(self.numeric)}
        series = []
        for column in self.contract.columns:
            if column.name in places:
                series.append(pl.Series(column.name, rows.numbers[:, places[column.name]]).fill_nan(None))
            else:
                dtype = pl.Binary if column.kind == "image" else pl.String
                series.append(pl.Series(column.name, rows.texts[column.name], dtype=dtype))
        return pl.DataFrame(series)

    def refuse_missing(self, rows: CheckedRows, columns: frozenset[str]) -> CheckedRows:
        """The rows without those that have no value in one of ``columns``: the model cannot do without."""
        refused: dict[int, RefusedRow] = {}
        why = "is missing, and this model has no answer without it"
        for at, column in enumerate(self.numeric):
            if column.name in columns:
                for row in np.flatnonzero(np.isnan(rows.numbers[:, at])).tolist():
                    refused.setdefault(row, RefusedRow(row, column.name, why))
        for column in self.textual:
            if column.name in columns:
                for row, value in enumerate(rows.texts[column.name]):
                    if value is None:
                        refused.setdefault(row, RefusedRow(row, column.name, why))
        return rows if not refused else _keep_rest(rows, refused)


def _keep_rest(rows: CheckedRows, refused: Mapping[int, RefusedRow]) -> CheckedRows:
    """``rows`` without the refused ones, whose places are those among ``rows``."""
    keep = np.ones(len(rows), dtype=bool)
    keep[list(refused)] = False
    places = np.arange(len(rows)) if rows.positions is None else rows.positions
    told = [RefusedRow(int(places[r.row]), r.column, r.reason) for r in refused.values()]
    texts = {name: list(compress(values, keep.tolist())) for name, values in rows.texts.items()}
    both = tuple(sorted((*rows.refused, *told), key=lambda row: row.row))
    return CheckedRows(rows.numbers[keep], texts, places[keep], both, rows.total)


def _drop_impossible(numbers: Array) -> None:
    """Infinities, and numbers beyond what a float32 holds, are missing values, as in cleaning."""
    bad = np.abs(numbers) > LARGEST
    if bad.any():
        numbers[bad] = np.nan


def _read_numbers(column: Column, values: Sequence[Any], refused: dict[int, RefusedRow]) -> Any:
    """(n,) float64. A value that is no number puts its row among ``refused``."""
    if isinstance(values, np.ndarray):
        found = np.asarray(values, dtype=np.float64)
        return found if column.kind == "number" else _check_flags(column, found, refused)
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        try:
            found = np.array(values, dtype=np.float64)
        except OverflowError:  # a whole number beyond float64
            found = np.array([_read_number(v) for v in values])
        return found if column.kind == "number" else _check_flags(column, found, refused)
    texts = _parse_texts(column, values)
    found = np.full(len(values), np.nan)
    for row, value in enumerate(values):
        if type(value) in _NUMBERS:
            found[row] = _read_number(value)
        elif isinstance(value, str) and texts is not None:
            parsed, is_missing = texts[row]
            if parsed is None and not is_missing:
                _refuse(refused, row, column, "is a text that spells no value of this column")
            found[row] = np.nan if parsed is None else parsed
        else:
            wanted = "number" if column.kind == "number" else "truth value"
            _refuse(
                refused,
                row,
                column,
                f"must be a {wanted}, and is {_name_type(value)}",
            )
    return found if column.kind == "number" else _check_flags(column, found, refused)


def _name_type(value: Any) -> str:
    names: dict[type[Any], str] = {str: "a text", list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), "something else")


def _read_number(value: Any) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf


def takes_texts(column: Column) -> bool:
    """Whether a column may hold texts: one of numbers only where the reference rows spelled them so."""
    spelled = column.dtype.startswith(("Date", "Datetime")) or column.dtype in ("String", "Categorical", "Enum")
    return column.kind != "number" or spelled


def _parse_texts(column: Column, values: Sequence[Any]) -> list[tuple[float | None, bool]] | None:
    """Number and whether it stands for a missing value, of each text; None where the column never held texts."""
    if not takes_texts(column):
        return None
    temporal = column.dtype.startswith(("Date", "Datetime"))
    text = pl.col("text")
    parsed: pl.Expr
    if column.kind == "boolean":
        words = text.str.strip_chars().str.to_lowercase()
        parsed = pl.when(words.is_in(TRUE)).then(1.0).when(words.is_in(FALSE)).then(0.0)
    elif temporal:
        parsed = parse_moment(text).dt.epoch("us").cast(pl.Float64) / 1e6
    else:
        parsed = number(text, pl.String(), decimal_comma=column.decimal_comma)
    series = pl.Series("text", [v if isinstance(v, str) else None for v in values], dtype=pl.String)
    read = series.to_frame().select(parsed.alias("value"), is_missing_text(text).alias("missing"))
    return list(read.iter_rows())


def _check_flags(column: Column, found: Array, refused: dict[int, RefusedRow]) -> Array:
    wrong = ~((found == 0.0) | (found == 1.0) | np.isnan(found))
    for row in np.flatnonzero(wrong).tolist():
        _refuse(refused, row, column, "must be true or false, and is another number")
    return np.where(wrong, np.nan, found)


def _flatten_lists(columns: Mapping[str, Sequence[Any]], listed: Mapping[str, int]) -> Mapping[str, Sequence[Any]]:
    """Columns of lists as a column for each place, as the contract has them; lists of other lengths are left out."""
    found = dict(columns)
    for name, length in listed.items():
        values = columns.get(name)
        if values is not None and all(isinstance(value, list) and len(value) == length for value in values):
            found |= {f"{name}[{at}]": [value[at] for value in values] for at in range(length)}
    return found


def _lay_out_lists(
    columns: Mapping[str, Sequence[Any]], layout: ListLayout, refused: dict[int, RefusedRow]
) -> Mapping[str, Sequence[Any]]:
    """A column of lists of any length as a column for each place; a row with what is no list, or too long a one, is
    refused by itself.
    """
    blank, laid_out = [None] * layout.length, []
    for row, value in enumerate(columns[layout.column]):
        places = layout.lay_out(value) if isinstance(value, list) else blank
        if len(places) > layout.length:
            reason = f"must be a list of at most {layout.length} numbers, and has {len(places)}"
            refused.setdefault(row, RefusedRow(row, layout.column, reason))
            places = blank
        elif value is not None and not isinstance(value, list):
            reason = f"must be a list of numbers, and is {_name_type(value)}"
            refused.setdefault(row, RefusedRow(row, layout.column, reason))
        laid_out.append(places)
    return {**columns, **dict(zip(layout.places, zip(*laid_out, strict=True), strict=True))}


def _refuse_outside_table(column: Column, found: Array, refused: dict[int, RefusedRow]) -> None:
    """A number that is no place in the model's own table has no answer; for a missing one see ``refuse_missing``."""
    most = column.below or 0
    wrong = ~np.isnan(found) & ~((found >= 0) & (found < most) & (found == np.round(found)))
    for row in np.flatnonzero(wrong).tolist():
        _refuse(refused, row, column, f"must be a whole number from 0 to {most - 1}")


def _read_texts(column: Column, values: Sequence[Any], refused: dict[int, RefusedRow]) -> list[Any]:
    if isinstance(values, np.ndarray):  # numbers; their spelling is the text
        values = values.tolist()
    if column.kind == "image":
        return [_read_picture(column, row, value, refused) for row, value in enumerate(values)]
    if set(map(type, values)) <= _TEXTS:
        return [None if value is None else value.strip() or None for value in values]
    return [_spell(column, row, value, refused) for row, value in enumerate(values)]


def _read_prompts(column: Column, values: Sequence[Any], refused: dict[int, RefusedRow]) -> list[Any]:
    """What a model writes on: texts as they stand, spaces too, and conversations as lists of messages."""
    found = []
    for row, value in enumerate(values):
        text = write_question(value) if is_conversation(value) else value
        if not isinstance(text, str) or not text.strip():
            _refuse(refused, row, column, "must be a text, or a list of messages with a role and a content each")
        found.append(text)
    return found


def _spell(column: Column, row: int, value: Any, refused: dict[int, RefusedRow]) -> str | None:
    """A value's one spelling, as ``canonical_text`` has it: 1 for 1.0, true for True."""
    if value is None or isinstance(value, str):
        return None if value is None else value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if value == value // 1 and abs(value) < 2**53 else str(value)
    _refuse(refused, row, column, f"must be one value, and is {_name_type(value)}")
    return None


def _read_picture(column: Column, row: int, value: Any, refused: dict[int, RefusedRow]) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, binascii.Error, ValueError):
        _refuse(refused, row, column, "must be a picture's bytes in base64")
        return None


def _refuse(refused: dict[int, RefusedRow], row: int, column: Column, reason: str) -> None:
    refused.setdefault(row, RefusedRow(row, column.name, reason))
