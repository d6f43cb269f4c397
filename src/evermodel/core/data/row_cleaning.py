"""Which rows stay: labels that can be used, weights, duplicates; and the columns that roles need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.needed_values import has_all_targets, has_unknown_code, read_other_targets
from evermodel.core.data.scan import collect
from evermodel.core.data.source import BURST
from evermodel.core.data.target_column import class_code, class_text, read_answer
from evermodel.core.data.values import (
    canonical_text,
    number,
    parse_moment,
    parse_period,
    parse_slashed_moment,
    parse_worded_moment,
)
from evermodel.core.errors import BadData, NoData

FEW_CLASSES = 64  # up to which classes are counted in the common pass
_AT, _HASH, _TIME = "__row__", "__hash__", "__time__"
UNKNOWN_CODE = "a code that the model's table lacks"
READABLE = 0.95  # share of the times that one form must read


@dataclass(frozen=True)
class Rows:
    """The rows that stay, and what became of the others."""

    frame: pl.LazyFrame
    left: int
    dropped: Mapping[str, int]
    notes: tuple[str, ...]
    classes: Mapping[str, int]


def target_value(contract: Contract, schema: pl.Schema) -> pl.Expr:
    """The target as class code (Int64), Float64 or text; null where it cannot be used."""
    name = contract.roles.target or ""
    if contract.task == "text":
        return read_answer(pl.col(name))
    if contract.task != "regression":
        return class_code(pl.col(name), schema[name], contract.classes)
    found = number(pl.col(name), schema[name])
    return pl.when(found.is_finite()).then(found)


def _weight(contract: Contract, schema: pl.Schema) -> pl.Expr:
    name = contract.roles.weight or ""
    found = number(pl.col(name), schema[name])
    return pl.when(found.is_not_nan()).then(found)


def counts(contract: Contract, schema: pl.Schema) -> dict[str, pl.Expr]:
    """Row counts for the common pass: usable labels, classes, weights."""
    y = target_value(contract, schema)
    counted = {"unusable": y.is_null().sum()}
    if contract.classes and len(contract.classes) <= FEW_CLASSES:
        counted |= {f"class{i}": (y == i).sum() for i in range(len(contract.classes))}
    if contract.roles.weight is not None:
        w = _weight(contract, schema)
        counted["bad_weight"] = ((w < 0) | w.is_infinite()).sum()
        counted["no_weight"] = (w.is_null() & y.is_not_null()).sum()
    if contract.outputs:
        lacking = ~has_all_targets(contract, schema) & y.is_not_null()
        counted["unusable"] = counted["unusable"] + lacking.sum()
    coded = [column for column in contract.columns if column.below is not None]
    if coded:
        unknown = has_unknown_code(coded, schema) & y.is_not_null()
        weighted = pl.lit(True) if contract.roles.weight is None else _weight(contract, schema).is_not_null()
        counted["unknown_code"] = (unknown & weighted).sum()
    return counted


def choose(
    frame: pl.LazyFrame, contract: Contract, schema: pl.Schema, counted: Mapping[str, Any], *, labelled: bool
) -> Rows:
    """The rows that stay. An exact repetition (in every column of the source) goes only where a clock with a time of
    day, or time and entity together, make it the same event; elsewhere equal rows are equal by chance and stay.
    """
    rows = int(counted["rows"])
    if not labelled:
        return Rows(frame, rows, {}, (), {})
    if counted.get("row.bad_weight"):
        raise BadData(f"A weight must be a finite number, 0 or more. {counted['row.bad_weight']:,} rows have another.")
    dropped = {"unusable label": int(counted["row.unusable"]), "no weight": int(counted.get("row.no_weight", 0))}
    coded = "row.unknown_code" in counted
    if coded:
        dropped[UNKNOWN_CODE] = int(counted["row.unknown_code"])
    left = rows - sum(dropped.values())
    if not left and dropped.get(UNKNOWN_CODE):
        raise NoData(
            f"None of {rows:,} rows can be used: {dropped[UNKNOWN_CODE]:,} hold numbers beyond the model's tables.",
            "Give rows that are coded as the model's training rows were.",
        )
    if not left:
        raise NoData(
            f"None of {rows:,} rows has a usable label in {contract.roles.target!r}.",
            "Known labels: " + ", ".join(map(class_text, contract.classes[:20])) if contract.classes else "",
        )
    keep = target_value(contract, schema).is_not_null()
    if contract.outputs:
        keep = keep & has_all_targets(contract, schema)
    notes: tuple[str, ...] = ()
    if contract.roles.weight is not None:
        keep = keep & _weight(contract, schema).is_not_null()
    if coded:
        keep = keep & ~has_unknown_code(contract.columns, schema)
        if dropped[UNKNOWN_CODE]:
            notes = (f"{dropped[UNKNOWN_CODE]:,} of {rows:,} rows hold a code beyond the model's table: left out.",)
    twice, clock_notes = _order(frame.filter(keep) if left < rows else frame, contract, schema)
    dropped["duplicate row"] = len(twice)
    chosen = frame.filter(keep) if left < rows else frame
    if len(twice):
        chosen = chosen.with_row_index(_AT).filter(~pl.col(_AT).is_in(pl.Series(twice, dtype=pl.UInt32).implode()))
    exact = not (len(twice) or dropped["no weight"] or coded or contract.outputs)
    classes = _class_counts(chosen, contract, schema, counted, exact=exact)
    return Rows(chosen, left - len(twice), {k: n for k, n in dropped.items() if n}, (*notes, *clock_notes), classes)


def _order(frame: pl.LazyFrame, contract: Contract, schema: pl.Schema) -> tuple[Array, tuple[str, ...]]:
    """Positions of repeated rows, and notes on the clock; one pass over the rows, 16 bytes a row in memory."""
    roles = contract.roles
    if roles.time is None:
        return np.empty(0, dtype=np.int64), ()
    time = time_value(frame, roles.time, schema[roles.time])
    exprs = [time.alias(_TIME)]
    type_of_time = frame.select(time.alias(_TIME)).collect_schema()[_TIME]
    events = isinstance(type_of_time, pl.Datetime) or roles.entity is not None
    if events:
        exprs.append(pl.struct(pl.all()).hash(seed=0).alias(_HASH))
    looked = collect(frame.select(exprs))
    notes = []
    clock = looked[_TIME]
    back = _steps_back(clock)
    if back:
        notes.append(f"{roles.time}: the clock goes back {back:,} times; the rows are put in its order.")
    if clock.null_count():
        notes.append(f"{roles.time}: {clock.null_count():,} rows without a time stand before all others.")
    return (find_repeats(looked[_HASH].to_numpy()) if events else np.empty(0, dtype=np.int64)), tuple(notes)


def _steps_back(clock: pl.Series) -> int:
    known = clock.drop_nulls()
    return int((known.head(max(len(known) - 1, 0)) > known.tail(max(len(known) - 1, 0))).sum())


def find_repeats(hashes: Array) -> Array:
    """Positions whose hash (n,) uint64 occurred before, ascending."""
    order = np.argsort(hashes, kind="stable")
    again = hashes[order][1:] == hashes[order][:-1]
    return np.sort(order[1:][again])


def _class_counts(
    chosen: pl.LazyFrame, contract: Contract, schema: pl.Schema, counted: Mapping[str, Any], *, exact: bool
) -> dict[str, int]:
    if not contract.classes:
        return {}
    if exact and len(contract.classes) <= FEW_CLASSES:
        return {class_text(c): int(counted[f"row.class{i}"]) for i, c in enumerate(contract.classes)}
    codes = collect(chosen.select(target_value(contract, schema).alias("code")).group_by("code").len())
    found = dict(codes.iter_rows())
    return {class_text(c): int(found.get(i, 0)) for i, c in enumerate(contract.classes)}


def role_columns(contract: Contract, schema: pl.Schema, frame: pl.LazyFrame, *, labelled: bool) -> dict[str, pl.Expr]:
    """The columns besides the inputs: target and weight where there are labels; time, entity, slices if they exist."""
    roles = contract.roles
    found: dict[str, pl.Expr] = {}
    if labelled:
        found[roles.target or ""] = target_value(contract, schema)
        if contract.outputs:
            found |= read_other_targets(contract, schema)
        if roles.weight is not None:
            found[roles.weight] = _weight(contract, schema)
    if roles.time is not None and roles.time in schema:
        found[roles.time] = time_value(frame, roles.time, schema[roles.time])
    for name in (roles.entity, *roles.slices):
        if name is not None and name in schema and name not in found:
            found[name] = canonical_text(pl.col(name), schema[name])
    if labelled and roles.entity == BURST and BURST not in schema:  # pictures of a table: each stands alone
        found[BURST] = pl.int_range(pl.len()).cast(pl.String)
    return found


def time_value(frame: pl.LazyFrame, name: str, dtype: pl.DataType) -> pl.Expr:
    """The time column as Datetime (UTC) or Float64.

    Raises BadData for times that cannot be told: words, or 3/4/2024 where no day above 12 says which is the month.
    Rows are never put in the order of an alphabet.
    """
    here = pl.col(name)
    if dtype == pl.Date:
        return here.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime):
        clock = here if dtype.time_zone is None else here.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return clock.cast(pl.Datetime("us"))
    if dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Null:
        return number(here, dtype)
    if dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise BadData(f"The times in {name!r} must be moments or numbers that grow. Got {dtype}.")
    here = here.cast(pl.String)
    sample = collect(frame.select(here).drop_nulls().head(1000))
    for read in (parse_moment(here), number(here, pl.String()), parse_worded_moment(here), parse_period(here)):
        if not sample.height or _readable(sample, read) >= READABLE:
            return read
    month_first, day_first = (parse_slashed_moment(here, day_first=first) for first in (False, True))
    if max(_readable(sample, month_first), _readable(sample, day_first)) >= READABLE:
        share = collect(
            frame.select(here)
            .drop_nulls()
            .select(month_first=month_first.is_not_null().mean(), day_first=day_first.is_not_null().mean())
        ).row(0, named=True)
        if share["month_first"] != share["day_first"]:
            return month_first if share["month_first"] > share["day_first"] else day_first
        raise BadData(
            f"The times in {name!r} may have the month or the day first, such as {sample[name][0]!r}: no day above 12 "
            "tells.",
            "Write them as 2024-12-31 23:59:59.",
        )
    raise BadData(
        f"The times in {name!r} are written in a form that cannot be told, such as {sample[name][0]!r}.",
        "Write them as 2024-12-31 23:59:59, or as numbers that grow.",
    )


def _readable(sample: pl.DataFrame, read: pl.Expr) -> float:
    return float(sample.select(read.is_not_null().mean()).item() or 0.0)
