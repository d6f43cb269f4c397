"""Columns by name and type: missing, renamed, new, reordered, of another type."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from evermodel.core.contracts.contract_difference import Action, Difference, DifferenceDetail
from evermodel.core.contracts.unit_changes import compute_quantiles, shape_distance
from evermodel.core.data.column_names import match_names
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.scan import collect, spread_rows
from evermodel.core.data.source import BURST
from evermodel.core.data.values import canonical_text, is_missing_text, number

READABLE = 0.5  # share of a text column that must be numbers, where numbers are expected


def compare_columns(contract: Contract, frame: pl.LazyFrame, *, labelled: bool) -> list[Difference]:
    """All differences in names and types."""
    schema = frame.collect_schema()
    roles = contract.roles
    wanted = list(contract.names)
    if labelled:
        named = (roles.target, roles.time, roles.entity, roles.weight, *roles.slices)
        wanted += [n for n in named if n and n != BURST]  # which only folders of pictures have
    wanted = list(dict.fromkeys(wanted))
    missing = [n for n in wanted if n not in schema]
    other = {*wanted, *roles.drop, *(n for n in (roles.target, roles.time, roles.entity, roles.weight) if n)}
    new = [n for n in schema if n not in other]
    renamed = match_names(missing, new)
    found = [
        Difference(
            "renamed",
            n,
            "migrate",
            f"{m!r} is used as {n!r}: the names differ in spelling only.",
            DifferenceDetail(from_column=m),
        )
        for n, m in renamed.items()
    ]
    left = [n for n in missing if n not in renamed]
    free = [n for n in new if n not in renamed.values()]
    found += [_missing(contract, frame, n, left, free) for n in left]
    if roles.inputs is None:  # with named inputs every other column is expected to be there
        unused = set(free) - set(contract.left_out)
        found += [
            Difference("new", n, "note", f"{n!r} is new; the model does not use it.") for n in free if n in unused
        ]
    order = [n for n in (renamed.get(c, c) for c in contract.names) if n in schema]
    there = [n for n in schema if n in set(order)]
    if order != there:
        text = "The columns are in another order; they are read in the contract's."
        found.append(Difference("reordered", "", "migrate", text))
    names = {c.name: renamed.get(c.name, c.name) for c in contract.columns}
    for c in contract.columns:
        if names[c.name] in schema:
            found += _type(c, names[c.name], schema[names[c.name]], frame)
    return found


def _missing(contract: Contract, frame: pl.LazyFrame, name: str, missing: list[str], new: list[str]) -> Difference:
    kind = "target" if name == contract.roles.target else "missing"
    text = f"The target {name!r} is missing." if kind == "target" else f"{name!r} is missing."
    like = _alike(contract, frame, name, new) if name in contract.names else []
    if len(like) == 1:  # a guess by values alone is never acted on: two columns may well look alike
        text += f" {like[0]!r} has similar values: rename it, if it is the same."
    return Difference(kind, name, "refuse", text, DifferenceDetail(candidates=tuple(like)))  # type: ignore[arg-type]


def _alike(contract: Contract, frame: pl.LazyFrame, name: str, new: list[str]) -> list[str]:
    """The new columns whose values are distributed as the missing column's were."""
    column, schema = contract.column(name), frame.collect_schema()
    found = []
    for other in new[:50]:
        if column.kind == "number" and column.quantiles and (schema[other].is_numeric() or schema[other] == pl.String):
            values = spread_rows(frame.select(number(pl.col(other), schema[other]).alias("x")))["x"]
            now = compute_quantiles(values)
            if now is not None and shape_distance(np.asarray(column.quantiles), now) < 0.25:
                found.append(other)
        elif column.kind == "category" and not schema[other].is_float() and schema[other] != pl.Binary:
            values = spread_rows(frame.select(canonical_text(pl.col(other), schema[other]).alias("x")))[
                "x"
            ].drop_nulls()
            if len(values) and values.is_in(column.categories).mean() >= 0.9:  # type: ignore[operator]
                found.append(other)
    return found


def _type(column: Column, name: str, dtype: pl.DataType, frame: pl.LazyFrame) -> list[Difference]:
    """How the type differs from the one at adoption, where it matters."""
    old, now = _family(column.dtype), _family(str(dtype))
    if now == "Null" or old == now or not column.dtype:
        return []
    action: Action = "migrate"
    text = f"{column.name!r} was {column.dtype} and is {dtype} now; it is converted."
    readable: float | None = None
    if column.kind == "image" or now == "Binary":
        action, text = "refuse", f"{column.name!r} was {column.dtype} and is {dtype} now."
    elif column.kind in ("number", "boolean") and now == "String":
        readable = _readable_share(frame, name, column.decimal_comma)
        if readable < READABLE and column.kind == "number":
            odd = _find_unreadable(frame, name, column.decimal_comma)
            action, text = (
                "refuse",
                f"{column.name!r} held numbers; {1 - readable:.0%} of its values are not numbers now, such as {odd!r}.",
            )
    elif (
        column.kind == "category"
        and old == "String"
        and now == "number"
        and not _has_known_category(frame, name, dtype, column)
    ):
        action, text = "refuse", f"{column.name!r} held words; it holds numbers now, none of which is a known category."
    return [Difference("type", column.name, action, text, DifferenceDetail(dtype=str(dtype), readable=readable))]


def _has_known_category(frame: pl.LazyFrame, name: str, dtype: pl.DataType, column: Column) -> bool:
    """Whether any value is one of the column's categories (a text column of digits is read back as numbers)."""
    texts = canonical_text(pl.col(name), dtype)
    return bool(collect(frame.select(texts.is_in(column.categories).any())).item())


def _readable_share(frame: pl.LazyFrame, name: str, comma: bool) -> float:
    there = pl.col(name).filter(~is_missing_text(pl.col(name)))
    found = collect(frame.select(number(there, pl.String(), decimal_comma=comma).is_not_null().mean())).item()
    return 1.0 if found is None else float(found)


def _find_unreadable(frame: pl.LazyFrame, name: str, comma: bool) -> str:
    there = pl.col(name).filter(~is_missing_text(pl.col(name)))
    odd = there.filter(number(there, pl.String(), decimal_comma=comma).is_null())
    return str(collect(frame.select(odd.head(1))).to_series().item())


def _family(dtype: str) -> str:
    """Types between which nothing changes in meaning: all numbers, all texts, all moments."""
    word = re.split(r"[(\[]", dtype)[0]
    if word in ("Categorical", "Enum"):
        return "String"
    return "number" if re.match(r"U?Int\d+|Float\d+|Decimal", word) else word
