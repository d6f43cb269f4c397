"""Rows to watch: read in batches, predicted where no prediction came with them, put into looks."""

from __future__ import annotations

import datetime as dt
import re
import time as timing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.cleaning import clean, in_batches
from evermodel.core.contract import Contract
from evermodel.core.description import with_descriptions
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.model import Model
from evermodel.core.row_cleaning import target_value
from evermodel.core.table import Array
from evermodel.core.target import class_code, class_text
from evermodel.core.values import canonical_text, number
from evermodel.loop.use import ID_NAMES, answer_codes

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
MOST_CLASSES_KEPT = 50  # up to which a row's whole distribution is kept; else that of the likeliest class
DEFAULT_ROWS = 1_000
ID, Y, CODE, TIME, LOOK = "__id", "__y", "__code", "__time", "__look"
GROUP = "__group"  # the entity, within whose rows a model's scores may be a ranking
SECOND = "__second"  # the chance that a second model gives to the answer
KIND = "__kind"  # of a regression: which rows err alike
ASKED = "__asked"  # the chance with which a row was drawn to be asked for its label; null where it was not


@dataclass(frozen=True)
class Cut:
    """How rows are put into looks: ``seconds`` long, or ``rows`` many."""

    seconds: int = 0
    rows: int = 0

    def __str__(self) -> str:
        return f"{self.rows}rows" if self.rows else f"{self.seconds}s"


@dataclass(frozen=True)
class Asked:
    """What rows bring with them besides the model's inputs."""

    frame: pl.LazyFrame  # with the columns ID, Y, CODE where they exist
    keep: tuple[str, ...]
    gone: tuple[str, ...]  # inputs that are not there
    given: bool  # predictions came with the rows
    probabilities: tuple[str, ...]
    keys: tuple[str, ...]  # what joins labels to rows
    dated: bool


@dataclass(frozen=True)
class Block:
    """Some rows as watched: ``kept`` is what is remembered of them, ``inputs`` the cleaned columns and descriptions."""

    kept: pl.DataFrame
    inputs: pl.DataFrame
    seconds: float  # that predicting took; NaN where predictions came with the rows


def parsed_window(text: str) -> Cut:
    """1d, 6h, 10000rows. Raises BadSetting."""
    match = re.fullmatch(r"(\d+)\s*([a-z]+)", text.strip())
    if match and int(match[1]) > 0:
        if match[2] in ("rows", "row"):
            return Cut(rows=int(match[1]))
        if match[2] in SECONDS:
            return Cut(seconds=int(match[1]) * SECONDS[match[2]])
    raise BadSetting(f"--window must be a time or a number of rows, such as 1d, 6h or 10000rows. Got {text!r}.")


def look_into(frame: pl.LazyFrame, contract: Contract, id_: str | None) -> Asked:
    """What the rows bring; inputs that are gone are there as nothing, so that the rest can still be watched."""
    schema = frame.collect_schema()
    gone = tuple(n for n in contract.names if n not in schema)
    roles = contract.roles
    extra: dict[str, pl.Expr] = {}
    keys = id_columns(schema.names(), contract, id_)
    if keys:
        extra[ID] = pl.concat_str([canonical_text(pl.col(k), schema[k]).fill_null("") for k in keys], separator="|")
    if roles.entity in schema:
        extra[GROUP] = canonical_text(pl.col(str(roles.entity)), schema[str(roles.entity)])
    if roles.target in schema:
        extra[Y] = target_value(contract, schema).cast(pl.Float64)
    given = "prediction" in schema and "prediction" not in contract.names
    shares: tuple[str, ...] = ()
    if given:
        extra[CODE] = _prediction(contract, schema)
        named = tuple(f"p_{class_text(c)}" for c in contract.classes)
        shares = named if named and all(n in schema for n in named) else ()
    frame = frame.with_columns(**extra, **{n: pl.lit(None) for n in gone})
    time = schema.get(roles.time or "")
    dated = time is not None and (time.is_temporal() or time == pl.String)
    return Asked(frame, (*extra, *shares), gone, given, shares, keys, dated)


def id_columns(names: Sequence[str], contract: Contract, id_: str | None) -> tuple[str, ...]:
    """The columns that say which row is which: ``id_``, a column called so, or entity and time together."""
    if id_ is not None:
        if id_ not in names:
            raise NotFound.among("column", id_, names)
        return (id_,)
    found = [n for n in ID_NAMES if n in names and n not in contract.names][:1]
    if found:
        return (found[0],)
    both = (contract.roles.entity, contract.roles.time)
    return tuple(str(n) for n in both) if all(n is not None and n in names for n in both) else ()


def blocks(asked: Asked, model: Model, cut: Cut, offset: int, second: Model | None = None) -> Iterator[Block]:
    """The rows some at a time, ``offset`` rows having come before. Memory stays flat."""
    cleaned = clean(asked.frame, model.contract, labelled=False, keep=asked.keep)
    for batch in in_batches(cleaned):
        began = timing.monotonic()
        kept = _given(asked, model, batch) if asked.given else _made(asked, model, batch)
        spent = timing.monotonic() - began
        if second is not None and not asked.gone:
            kept = kept.with_columns(_second(second, batch, kept[CODE]))
        kept = kept.with_columns(_looks(batch, model.contract, cut, offset, asked))
        offset += batch.height
        told = [c for c in model.contract.columns if c.name not in asked.gone]
        inputs = with_descriptions(batch.select(model.contract.names), told)
        yield Block(kept, inputs, float("nan") if asked.given else spent)


def _second(second: Model, batch: pl.DataFrame, code: pl.Series) -> pl.Series:
    """What the second model makes of the answers: classes it does not know have no chance."""
    p = second.predict(batch)
    at = code.fill_null(0.0).to_numpy().astype(np.int64)
    inside = at < p.shape[1]
    chance = np.where(inside, p[np.arange(len(p)), np.minimum(at, p.shape[1] - 1)], 0.0)
    return pl.Series(SECOND, np.nan_to_num(chance, nan=0.5).astype(np.float32))


def _prediction(contract: Contract, schema: pl.Schema) -> pl.Expr:
    here = pl.col("prediction")
    if contract.task == "regression":
        found = number(here, schema["prediction"])
        return pl.when(found.is_finite()).then(found)
    return class_code(here, schema["prediction"], contract.classes).cast(pl.Float64)


def _own(asked: Asked, batch: pl.DataFrame) -> list[pl.Series]:
    n = batch.height
    found = [batch[ID] if ID in batch.columns else pl.Series(ID, [None] * n, dtype=pl.String)]
    found.append(batch[Y] if Y in batch.columns else pl.Series(Y, [None] * n, dtype=pl.Float64))
    return [*found, batch[GROUP]] if GROUP in batch.columns else found


def _slices(contract: Contract, batch: pl.DataFrame) -> list[pl.Series]:
    return [batch[s].cast(pl.String).alias(f"s:{s}") for s in contract.roles.slices if s in batch.columns]


def _given(asked: Asked, model: Model, batch: pl.DataFrame) -> pl.DataFrame:
    shares = [batch[n].cast(pl.Float32, strict=False).alias(f"p{i}") for i, n in enumerate(asked.probabilities)]
    own = [*_own(asked, batch), batch[CODE], *_slices(model.contract, batch)]
    return pl.DataFrame([*own, *shares])


def _made(asked: Asked, model: Model, batch: pl.DataFrame) -> pl.DataFrame:
    own = [*_own(asked, batch), *_slices(model.contract, batch)]
    if asked.gone:  # a model cannot be asked without its inputs, and a guess would be a false figure
        return pl.DataFrame([*own, pl.Series(CODE, [None] * batch.height, dtype=pl.Float64)])
    p = model.predict(batch)
    bad = ~np.isfinite(p.reshape(len(p), -1)).all(axis=1)
    codes = (p if p.ndim == 1 else answer_codes(model, p)).astype(np.float64)
    code = pl.Series(CODE, codes)
    if bad.any():
        code = code.set(pl.Series(bad), None)
    shares = _shares(p) if p.ndim == 2 else []
    return pl.DataFrame([*own, code, *shares])


def _shares(p: Array) -> list[pl.Series]:
    if p.shape[1] > MOST_CLASSES_KEPT:
        return [pl.Series("top", p.max(axis=1).astype(np.float32))]
    return [pl.Series(f"p{i}", p[:, i].astype(np.float32)) for i in range(p.shape[1])]


def _looks(batch: pl.DataFrame, contract: Contract, cut: Cut, offset: int, asked: Asked) -> list[pl.Series]:
    n = batch.height
    clock = pl.Series(TIME, [None] * n, dtype=pl.Float64)
    if asked.dated and batch[str(contract.roles.time)].dtype == pl.Datetime:
        clock = batch[str(contract.roles.time)].dt.epoch("us").cast(pl.Float64).alias(TIME) / 1e6
    if cut.rows:
        start = (np.arange(offset, offset + n) // cut.rows) * cut.rows
        return [clock.alias(TIME), pl.Series(LOOK, start.astype(np.int64))]
    began = (clock // cut.seconds * cut.seconds).cast(pl.Int64)
    return [clock.alias(TIME), began.alias(LOOK)]


def look_names(start: int, cut: Cut, rows: int) -> tuple[str, str, str]:
    """Key, start and end of a look: row numbers, or moments."""
    if cut.rows:
        return f"r{start:012d}", str(start), str(start + rows)
    return f"t{start + 10**12:014d}", moment(start), moment(start + cut.seconds)


def moment(seconds: float) -> str:
    """Unix seconds as ISO 8601, UTC."""
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (start + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")
