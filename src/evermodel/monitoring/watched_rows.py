"""Rows to watch: read in batches, predicted where no prediction came with them, put into windows."""

from __future__ import annotations

import datetime as dt
import re
import time as timing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.answer_texts import match_answers
from evermodel.core.data.cleaning import clean, clean_in_batches
from evermodel.core.data.content_features import with_descriptions
from evermodel.core.data.contract import Contract
from evermodel.core.data.row_cleaning import target_value
from evermodel.core.data.target_column import class_code, class_text
from evermodel.core.data.values import canonical_text, number
from evermodel.core.durations import SECONDS, parse_counted_unit
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.model.model import Model
from evermodel.monitoring.other_answers import predict_others, read_labels_of_others
from evermodel.monitoring.texts.written_answers import describe_answers
from evermodel.registry.prediction import ID_NAMES, class_codes

MOST_CLASSES_KEPT = 50  # up to which a row's whole distribution is kept; else that of the likeliest class
DEFAULT_ROWS = 1_000
ID, Y, CODE, TIME, WINDOW = "__id", "__y", "__code", "__time", "__window"
GROUP = "__group"  # the entity, within whose rows the scores may be a ranking
SECOND = "__second"  # a second model's probability of the predicted class
ANSWER, EXACT = "__answer", "__exact"  # of free text: what was written, until its label comes; whether both are equal
ERROR_GROUP = "__error_group"  # of a regression: rows with similar errors
SAMPLED = "__sampled"  # the probability with which a row was sampled for labelling; null where it was not


@dataclass(frozen=True)
class WindowSize:
    """The size of a window: ``seconds`` long, or ``rows`` many."""

    seconds: int = 0
    rows: int = 0

    def __str__(self) -> str:
        return f"{self.rows}rows" if self.rows else f"{self.seconds}s"


@dataclass(frozen=True)
class IncomingRows:
    """What a delivery of rows holds besides the model's inputs."""

    frame: pl.LazyFrame  # with the columns ID, Y, CODE where they exist
    keep: tuple[str, ...]
    missing_columns: tuple[str, ...]  # inputs that are not there
    given: bool  # predictions came with the rows
    probabilities: tuple[str, ...]
    keys: tuple[str, ...]  # what joins labels to rows
    dated: bool


@dataclass(frozen=True)
class Block:
    """Some watched rows: ``kept`` is stored, ``inputs`` holds the cleaned columns and their content features."""

    kept: pl.DataFrame
    inputs: pl.DataFrame
    seconds: float  # that predicting took; NaN where predictions came with the rows


def keep_known(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The rows with a value in each of the columns. Where none is missing nothing is copied, nor asked of the rows."""
    if not any(rows[name].null_count() for name in columns):
        return rows
    return rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in columns))


def parse_window(text: str) -> WindowSize:
    """1d, 6h, 10000rows, and what ``str`` makes of a window's size. Raises BadSetting."""
    seconds = re.fullmatch(r"(\d{1,9})s", text.strip())
    if seconds and int(seconds[1]) > 0:
        return WindowSize(seconds=int(seconds[1]))
    match = re.fullmatch(r"(\d+)\s*rows?", text.strip())
    if match and int(match[1]) > 0:
        return WindowSize(rows=int(match[1]))
    counted = parse_counted_unit(text)
    if counted is not None and counted[1] in SECONDS:
        return WindowSize(seconds=counted[0] * SECONDS[counted[1]])
    raise BadSetting(f"`window` must be a time or a number of rows, such as 1d, 6h or 10000rows. Got {text!r}.")


def inspect_rows(frame: pl.LazyFrame, contract: Contract, id_: str | None) -> IncomingRows:
    """What the rows hold. Missing inputs are added as nulls, so that the rest can still be watched."""
    schema = frame.collect_schema()
    missing = tuple(n for n in contract.names if n not in schema)
    roles = contract.roles
    extra: dict[str, pl.Expr] = {}
    keys = find_id_columns(schema.names(), contract, id_)
    if keys:
        extra[ID] = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in keys], separator="|")
    if roles.entity in schema:
        extra[GROUP] = canonical_text(pl.col(str(roles.entity)), schema[str(roles.entity)])
    writes = contract.task == "text"
    given = "prediction" in schema and "prediction" not in contract.names
    if roles.target in schema and (
        given or not writes
    ):  # without an answer, a reference answer is compared with nothing
        extra[Y] = target_value(contract, schema).cast(pl.String if writes else pl.Float64)
    if contract.outputs:
        extra |= read_labels_of_others(contract, schema)
    shares: tuple[str, ...] = ()
    if given and writes:
        extra[ANSWER] = pl.col("prediction").cast(pl.String)
    elif given:
        extra[CODE] = _read_prediction(contract, schema)
        named = tuple(f"p_{class_text(c)}" for c in contract.classes)
        shares = named if named and all(n in schema for n in named) else ()
    frame = frame.with_columns(**extra, **{n: pl.lit(None) for n in missing})
    time = schema.get(roles.time or "")
    dated = time is not None and (time.is_temporal() or time == pl.String)
    return IncomingRows(frame, (*extra, *shares), missing, given, shares, keys, dated)


def find_id_columns(names: Sequence[str], contract: Contract, id_: str | None) -> tuple[str, ...]:
    """The columns that say which row is which: ``id_``, a column called so, or entity and time together."""
    if id_ is not None:
        if id_ not in names:
            raise NotFound.among("column", id_, names)
        return (id_,)
    columns = [n for n in ID_NAMES if n in names and n not in contract.names][:1]
    if columns:
        return (columns[0],)
    both = (contract.roles.entity, contract.roles.time)
    return tuple(str(n) for n in both) if all(n is not None and n in names for n in both) else ()


def predict_blocks(
    incoming: IncomingRows, model: Model, cut: WindowSize, offset: int, second: Model | None = None
) -> Iterator[Block]:
    """The rows with their predictions, some at a time, after ``offset`` earlier rows. Memory stays flat."""
    cleaned = clean(incoming.frame, model.contract, labelled=False, keep=incoming.keep)
    for batch in clean_in_batches(cleaned):
        start_time = timing.monotonic()
        kept = _keep_given(incoming, model, batch) if incoming.given else _predict(incoming, model, batch)
        spent = timing.monotonic() - start_time
        if second is not None and not incoming.missing_columns:
            kept = kept.with_columns(_second(second, batch, kept[CODE]))
        kept = kept.with_columns(_assign_windows(batch, model.contract, cut, offset, incoming))
        offset += batch.height
        present = [c for c in model.contract.columns if c.name not in incoming.missing_columns]
        inputs = with_descriptions(batch.select(model.contract.names), present)
        yield Block(kept, inputs, float("nan") if incoming.given else spent)


def _second(second: Model, batch: pl.DataFrame, code: pl.Series) -> pl.Series:
    """The second model's probability of each predicted class; 0 for classes that it does not know."""
    p = second.predict(batch)
    at = code.fill_null(0.0).to_numpy().astype(np.int64)
    inside = at < p.shape[1]
    chance = np.where(inside, p[np.arange(len(p)), np.minimum(at, p.shape[1] - 1)], 0.0)
    return pl.Series(SECOND, np.nan_to_num(chance, nan=0.5).astype(np.float32))


def _read_prediction(contract: Contract, schema: pl.Schema) -> pl.Expr:
    here = pl.col("prediction")
    if contract.task == "regression":
        columns = number(here, schema["prediction"])
        return pl.when(columns.is_finite()).then(columns)
    return class_code(here, schema["prediction"], contract.classes).cast(pl.Float64)


def _own_columns(incoming: IncomingRows, batch: pl.DataFrame) -> list[pl.Series]:
    n = batch.height
    columns = [batch[ID] if ID in batch.columns else pl.Series(ID, [None] * n, dtype=pl.String)]
    columns.append(batch[Y] if Y in batch.columns else pl.Series(Y, [None] * n, dtype=pl.Float64))
    columns += [batch[n] for n in batch.columns if n.startswith("o:")]
    return [*columns, batch[GROUP]] if GROUP in batch.columns else columns


def _slice_columns(contract: Contract, batch: pl.DataFrame) -> list[pl.Series]:
    return [batch[s].cast(pl.String).alias(f"s:{s}") for s in contract.roles.slices if s in batch.columns]


def score_answers(rows: pl.DataFrame, reference: str) -> pl.DataFrame:
    """Rows of free text, scored where an answer and the text in the column ``reference`` are there.

    CODE becomes the F1 of their words, EXACT whether they are equal, Y 1, what both are at best. Both texts go.
    """
    if ANSWER not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.String).alias(ANSWER))
    ready = rows[ANSWER].is_not_null() & rows[reference].is_not_null()
    found = match_answers(rows[ANSWER].filter(ready).to_list(), rows[reference].filter(ready).to_list())
    nothing, at = pl.Series([None] * rows.height, dtype=pl.Float64), ready.arg_true()
    scored = []
    for name, values in ((EXACT, found[:, 0]), (CODE, found[:, 1]), (Y, np.ones(len(found)))):
        before = rows[name].clone() if name in rows.columns and name != reference else nothing.clone()
        scored.append(before.scatter(at, values).alias(name))
    answer = rows[ANSWER].clone().scatter(at, None)
    return rows.drop(reference).with_columns(*scored, answer)


def _keep_given(incoming: IncomingRows, model: Model, batch: pl.DataFrame) -> pl.DataFrame:
    if model.contract.task == "text":
        own = [*_own_columns(incoming, batch), *_slice_columns(model.contract, batch)]
        told = pl.DataFrame([*own, batch[ANSWER], *describe_answers(batch[ANSWER])])
        return score_answers(told.with_columns(pl.col(Y).cast(pl.String)), Y)
    shares = [batch[n].cast(pl.Float32, strict=False).alias(f"p{i}") for i, n in enumerate(incoming.probabilities)]
    own = [*_own_columns(incoming, batch), batch[CODE], *_slice_columns(model.contract, batch)]
    return pl.DataFrame([*own, *shares])


def _predict(incoming: IncomingRows, model: Model, batch: pl.DataFrame) -> pl.DataFrame:
    own = [*_own_columns(incoming, batch), *_slice_columns(model.contract, batch)]
    if (
        incoming.missing_columns or model.contract.task == "text"
    ):  # without its inputs; or answers that would take hours
        return pl.DataFrame([*own, pl.Series(CODE, [None] * batch.height, dtype=pl.Float64)])
    p = model.predict(batch)
    bad = ~np.isfinite(p.reshape(len(p), -1)).all(axis=1)
    codes = (p if p.ndim == 1 else class_codes(model, p)).astype(np.float64)
    code = pl.Series(CODE, codes)
    if bad.any():
        code = code.set(pl.Series(bad), None)
    shares = _probabilities(p) if p.ndim == 2 else []
    if model.contract.outputs:
        shares += predict_others(model, batch)
    return pl.DataFrame([*own, code, *shares])


def _probabilities(p: Array) -> list[pl.Series]:
    if p.shape[1] > MOST_CLASSES_KEPT:
        return [pl.Series("top", p.max(axis=1).astype(np.float32))]
    return [pl.Series(f"p{i}", p[:, i].astype(np.float32)) for i in range(p.shape[1])]


def _assign_windows(
    batch: pl.DataFrame, contract: Contract, cut: WindowSize, offset: int, incoming: IncomingRows
) -> list[pl.Series]:
    n = batch.height
    clock = pl.Series(TIME, [None] * n, dtype=pl.Float64)
    if incoming.dated and batch[str(contract.roles.time)].dtype == pl.Datetime:
        clock = batch[str(contract.roles.time)].dt.epoch("us").cast(pl.Float64).alias(TIME) / 1e6
    if cut.rows:
        start = (np.arange(offset, offset + n) // cut.rows) * cut.rows
        return [clock.alias(TIME), pl.Series(WINDOW, start.astype(np.int64))]
    start_time = (clock // cut.seconds * cut.seconds).cast(pl.Int64)
    return [clock.alias(TIME), start_time.alias(WINDOW)]


def name_window(start: int, cut: WindowSize, rows: int) -> tuple[str, str, str]:
    """Key, start and end of a window: row numbers, or times."""
    if cut.rows:
        return f"r{start:012d}", str(start), str(start + rows)
    return f"t{start + 10**12:014d}", format_time(start), format_time(start + cut.seconds)


def format_time(seconds: float) -> str:
    """Unix seconds as ISO 8601, UTC."""
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (start + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")
