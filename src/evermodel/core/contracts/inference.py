"""Learns from reference rows what a model expects: the contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from evermodel.core.data.contract import Column, Contract, Kind
from evermodel.core.data.scan import collect, spread_rows
from evermodel.core.data.target_column import learn_target
from evermodel.core.data.task import Task
from evermodel.core.data.values import canonical_text, is_missing_text, number, parse_number, proves_decimal_comma
from evermodel.core.errors import BadData, NoData, NotFound
from evermodel.core.records.column_roles import Roles

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_CATEGORIES = 10_000
TEXT_WORDS = 2.5  # words a value, on average, from which distinct texts are sentences and not names
READABLE = 0.95  # of a text column's values must be numbers for it to be a column of numbers


def learn_contract(
    frame: pl.LazyFrame,
    roles: Roles,
    *,
    task: Task | Literal["auto"] = "auto",
    known: Mapping[str, KnownColumn] | None = None,
) -> Contract:
    """The contract that reference rows imply; what was decided along the way is in its ``notes``.

    ``known`` columns are as the model file says, whatever the rows look like.

    Moments are left out unless ``roles.inputs`` names them (then: seconds since 1970), and so are columns of distinct
    names (identifiers), of nothing, and of bytes that are no pictures. Two or three streaming passes.
    Raises NotFound for a role that names no column, BadData for a target with one class, NoData without usable rows.
    """
    schema = frame.collect_schema()
    check_roles(roles, schema.names())
    task_of_target, classes = learn_target(frame, roles.target or "", task)
    inputs = roles.input_columns(schema.names())
    if not inputs:
        raise BadData("No column is left as an input.", "Check target, time, entity, weight, inputs and drop.")
    notes: list[str] = []
    rows = collect(frame.select(pl.len())).item()
    if not rows:
        raise NoData("There are no rows to learn from.")
    named = roles.inputs is not None
    learnt = _columns(frame, {n: schema[n] for n in inputs}, rows, named=named, notes=notes, known=known or {})
    if not learnt:
        raise BadData("None of the columns can be an input.", " ".join(notes)[:500])
    used = {column.name for column in learnt}
    return Contract(
        task=task_of_target,
        roles=roles,
        columns=tuple(learnt),
        classes=classes,
        left_out=tuple(name for name in inputs if name not in used),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class KnownColumn:
    """What is known of a column before any row is read; ``categories`` in code order, in their one spelling."""

    kind: Kind
    categories: tuple[str, ...] = ()
    below: int | None = None  # of a column of whole numbers: the model's table has so many places


def check_roles(roles: Roles, names: list[str]) -> None:
    """Raises NotFound, with the nearest name, for a role that names no column; BadData for one that is two things."""
    if roles.target is None:
        raise NotFound.among("target column", "", names, "Name the column to predict as the target.")
    single = {"target": roles.target, "time": roles.time, "entity": roles.entity, "weight": roles.weight}
    several = {"slice": roles.slices, "input": roles.inputs or (), "dropped": roles.drop}
    for role, name in single.items():
        if name is not None and name not in names:
            raise NotFound.among(f"{role} column", name, names)
    for role, listed in several.items():
        for name in listed:
            if name not in names:
                raise NotFound.among(f"{role} column", name, names)
    if roles.target in (roles.time, roles.entity, roles.weight, *(roles.inputs or ())):
        raise BadData(f"The target {roles.target!r} cannot play a second part.", "Name another column for it.")
    if len(set(roles.inputs or ())) < len(roles.inputs or ()):
        raise BadData("An input column is named twice.", "Name each once.")


def _columns(
    frame: pl.LazyFrame,
    inputs: dict[str, pl.DataType],
    rows: int,
    *,
    named: bool,
    notes: list[str],
    known: Mapping[str, KnownColumn],
) -> list[Column]:
    texts = [n for n, t in inputs.items() if t in (pl.String, pl.Categorical, pl.Enum)]
    sample = spread_rows(frame.select(texts), rows) if texts else pl.DataFrame()
    found = []
    for name, dtype in inputs.items():
        if name in known:
            found.append(_known_column(name, known[name], str(dtype)))
            continue
        if dtype == pl.Binary:
            values = collect(frame.select(pl.col(name)).drop_nulls().head(1))[name]
        else:
            values = sample[name] if name in texts else pl.Series(name, [], dtype=dtype)
        column = _column(values, dtype, named, notes)
        if column is not None:
            found.append(column)
    measured = _with_numbers(frame, found, inputs)
    if not named:
        empty = [c.name for c in measured if c.kind == "number" and c.low is None]
        notes += [f"{n}: left out, there is no value in it." for n in empty]
        measured = [c for c in measured if c.name not in empty]
    return _with_categories(frame, measured, inputs, rows, named=named, notes=notes)


def _known_column(name: str, known: KnownColumn, dtype: str) -> Column:
    return Column(name, known.kind, dtype, categories=known.categories, below=known.below)


def _column(sample: pl.Series, dtype: pl.DataType, named: bool, notes: list[str]) -> Column | None:
    """What kind of column it is, judged by up to 200,000 of its values; None where it is left out."""
    name, kind = sample.name, str(dtype)
    if dtype == pl.Boolean:
        return Column(name, "boolean", kind)
    if dtype == pl.Binary:
        return _binary(sample, notes)
    if dtype.is_temporal():
        if not named:
            notes.append(f"{name}: left out, a column of moments (name it among the inputs to have its seconds).")
            return None
        return Column(name, "number", kind)
    if dtype.is_numeric():
        return Column(name, "number", kind)
    if dtype == pl.Null:
        notes.append(f"{name}: left out, there is no value in it.")
        return None
    return _text(sample.cast(pl.String), kind, named, notes)


def _binary(sample: pl.Series, notes: list[str]) -> Column | None:
    if len(sample) and sample[0][:2] in (b"\x89P", b"\xff\xd8", b"BM", b"P5", b"P6"):
        return Column(sample.name, "image", "Binary")
    notes.append(f"{sample.name}: left out, its bytes are no PNG or JPEG picture.")
    return None


def _text(sample: pl.Series, dtype: str, named: bool, notes: list[str]) -> Column | None:
    facts = pl.DataFrame({"x": sample}).filter(~is_missing_text(pl.col("x")))
    if not facts.height:
        notes.append(f"{sample.name}: left out, there is no value in it.")
        return None
    x = pl.col("x")
    row = facts.select(
        number=parse_number(x).is_not_null().mean(),
        comma=parse_number(x, decimal_comma=True).is_not_null().mean(),
        proof=proves_decimal_comma(x).any(),
        truth=x.str.strip_chars().str.to_lowercase().is_in(["true", "false"]).all(),
        distinct=x.n_unique(),
        words=(x.str.strip_chars().str.count_matches(r"\s+") + 1).mean(),
    ).row(0, named=True)
    if row["truth"]:
        return Column(sample.name, "boolean", dtype)
    if max(row["number"], row["comma"]) >= READABLE:
        notes.append(f"{sample.name}: numbers written as text.")
        return Column(sample.name, "number", dtype, decimal_comma=bool(row["proof"]) and row["comma"] >= row["number"])
    many = row["distinct"] > max(50, facts.height / 2)
    if many and row["words"] >= TEXT_WORDS:
        return Column(sample.name, "text", dtype)
    if many and not named:
        notes.append(f"{sample.name}: left out, {row['distinct']:,} distinct names in {facts.height:,} rows.")
        return None
    return Column(sample.name, "category", dtype)


def is_prose(values: pl.Series) -> bool:
    """Whether a column of text would be learnt as texts, not as categories."""
    learnt = _text(values.drop_nulls(), "String", False, [])
    return learnt is not None and learnt.kind == "text"


def _with_numbers(frame: pl.LazyFrame, columns: list[Column], inputs: dict[str, pl.DataType]) -> list[Column]:
    """The columns with share missing, range and moments; for numbers, one pass over all rows."""
    exprs: list[pl.Expr] = [pl.len().alias("rows")]
    for i, c in enumerate(columns):
        value = pl.col(c.name)
        if c.kind == "number":
            value = number(value, inputs[c.name], decimal_comma=c.decimal_comma)
            value = pl.when(value.is_finite()).then(value)
            exprs += [value.min().alias(f"{i}.low"), value.max().alias(f"{i}.high"), value.mean().alias(f"{i}.mean")]
            exprs += [value.std(ddof=0).alias(f"{i}.std"), (value == value.round()).all().alias(f"{i}.whole")]
        elif c.kind == "category":
            value = canonical_text(value, inputs[c.name])
        exprs.append(value.is_null().mean().alias(f"{i}.missing"))
    row = collect(frame.select(exprs)).row(0, named=True)
    numbers = [c for c in columns if c.kind == "number"]
    quantiles = _quantiles(frame, numbers, inputs, row["rows"])
    found = []
    for i, c in enumerate(columns):
        range_of: dict[str, Any] = {k: row.get(f"{i}.{k}") for k in ("low", "high", "mean", "std")}
        shares = quantiles.get(c.name, ())
        median = shares[2] if shares else None
        whole = bool(row.get(f"{i}.whole")) and range_of["low"] is not None
        missing = float(row[f"{i}.missing"] or 0.0)
        found.append(dataclasses.replace(c, **range_of, median=median, quantiles=shares, whole=whole, missing=missing))
    return found


def _quantiles(
    frame: pl.LazyFrame, columns: list[Column], inputs: dict[str, pl.DataType], rows: int
) -> dict[str, tuple[float, ...]]:
    if not columns:
        return {}
    values = spread_rows(
        frame.select(number(pl.col(c.name), inputs[c.name], decimal_comma=c.decimal_comma) for c in columns), rows
    )
    found = {}
    for c in columns:
        finite = values[c.name].filter(values[c.name].is_finite())
        if len(finite):
            found[c.name] = tuple(float(finite.quantile(s, "linear") or 0.0) for s in SHARES)
    return found


def _with_categories(
    frame: pl.LazyFrame,
    columns: list[Column],
    inputs: dict[str, pl.DataType],
    rows: int,
    *,
    named: bool,
    notes: list[str],
) -> list[Column]:
    """The columns with their code tables, sorted; a column of too many categories is left out, or refused if named."""
    found = []
    for c in columns:
        if c.kind != "category" or c.categories:
            found.append(c)
            continue
        values = list_categories(frame, c.name, inputs[c.name])
        if len(values) > MOST_CATEGORIES:
            why = f"{c.name}: {len(values):,} categories; at most {MOST_CATEGORIES:,} are coded."
            if named:
                raise BadData(why, "Leave it out, or group its values.")
            notes.append(f"{why} Left out.")
            continue
        found.append(dataclasses.replace(c, categories=values))
    if not found and rows:
        raise BadData("None of the columns can be an input.", " ".join(notes)[:500])
    return found


def list_categories(frame: pl.LazyFrame, name: str, dtype: pl.DataType) -> tuple[Any, ...]:
    """The distinct values of a column in their one spelling, sorted."""
    found = collect(frame.select(canonical_text(pl.col(name), dtype).unique()))
    return tuple(sorted(found.to_series().drop_nulls().to_list()))
