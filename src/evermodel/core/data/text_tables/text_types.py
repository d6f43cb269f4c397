"""What type the values of text columns are of, judged by all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import polars as pl

from evermodel.core.data.scan import check_columns, collect
from evermodel.core.data.values import (
    groups_by_points,
    is_missing_text,
    parse_moment,
    parse_number,
    parse_slashed_moment,
    parse_worded_moment,
    plain_number,
    proves_decimal_comma,
)

LOOK = 5_000  # rows that rule out most types before all rows are read
FEW = 100  # rows that are looked at before these
LONGEST = 10_000  # bytes of a value that may be a number or a moment; patterns take a second for a million


def _whole(c: pl.Expr) -> pl.Expr:
    return c.str.strip_chars().cast(pl.Int64, strict=False)


def _truth(c: pl.Expr) -> pl.Expr:
    low = c.str.strip_chars().str.to_lowercase()
    return pl.when(low == "true").then(True).when(low == "false").then(False).otherwise(None)


_CHEAP = ("whole", "number")  # what they read, the others read alike
# In the order in which they are tried; the first that reads every value is the column's type.
_TYPES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "whole": _whole,
    "number": plain_number,
    "truth": _truth,
    "comma": partial(parse_number, decimal_comma=True),
    "point": parse_number,
    "moment": parse_moment,
    "worded": parse_worded_moment,
    "month_first": partial(parse_slashed_moment, day_first=False),
    "day_first": partial(parse_slashed_moment, day_first=True),
}


def infer_types(frame: pl.LazyFrame, decimal: str = "") -> pl.LazyFrame:
    """``frame`` with each text column as whole numbers, numbers, truth or moments where every value is one.

    The decimal sign is decided once for all columns: where one of them can only be read with a decimal comma (1,5), so
    are the others that can (1.234 is 1234 then). ``decimal``, "." or ",", states it instead; a column that contradicts
    it stays text. Codes such as 00397 stay text; a contract that wants
    numbers reads them from text. Values missing by their word ("NA", "?") become null. One streaming pass over the
    columns in question, a second where there is a decimal comma, or digits all of one length.
    """
    schema = frame.collect_schema()
    check_columns(schema)
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    if not texts:
        return frame
    longest = collect(frame.head(LOOK).select(pl.col(texts).str.len_bytes().max())).row(0, named=True)
    texts = [name for name in texts if (longest[name] or 0) <= LONGEST]
    first = frame.head(LOOK)
    cheap = {n: kinds for n, kinds in _settle(first, dict.fromkeys(texts, _CHEAP), start=True).kinds.items() if kinds}
    looked = _look_for_all(first, [n for n in texts if n not in cheap])
    candidates = {**cheap, **looked}
    settled = _settle(frame, candidates)
    missed = _look_for_all(first, [n for n in cheap if not settled.kinds[n]])
    more = _settle(frame, missed)
    kinds = settled.kinds | more.kinds
    proven = settled.with_comma | more.with_comma
    comma = decimal == "," or (bool(proven) and decimal != ".")
    kinds = {n: () if decimal == "." and n in proven else k for n, k in kinds.items()}
    grouped = _find_grouped(frame, [n for n, k in kinds.items() if k[:1] == ("number",)]) if comma else frozenset()
    chosen = {n: _choose_type(n, k, comma, grouped) for n, k in kinds.items()}
    codes = _find_codes(frame, [n for n, kind in chosen.items() if kind == "whole"])
    return frame.with_columns(_TYPES[kind](pl.col(n)).alias(n) for n, kind in chosen.items() if kind and n not in codes)


def _find_codes(frame: pl.LazyFrame, names: list[str]) -> list[str]:
    """Columns of digits that are codes such as 00397: all of one length, some with a zero before other digits.

    As numbers they would lose their zeros. 007 beside 12 is a number that somebody padded.
    """
    for rows in (frame.head(LOOK), frame):  # the first rows rule out most columns
        if names:
            exprs = []
            for name in names:
                length = pl.col(name).filter(~is_missing_text(pl.col(name))).str.strip_chars().str.len_bytes()
                exprs.append((length.min() == length.max()).alias(name))
                exprs.append(pl.col(name).str.contains(r"^\s*0\d").any().alias(f"{name} has zeros"))
            row = collect(rows.select(exprs)).row(0, named=True)
            names = [n for n in names if row[n] is not False and (row[f"{n} has zeros"] or rows is not frame)]
    return names


def _choose_type(name: str, kinds: tuple[str, ...], comma: bool, grouped: frozenset[str]) -> str:
    """The first type that reads all values; "" where none does, or where day and month cannot be told apart."""
    if comma and name in grouped:
        return "comma"
    left = [k for k in kinds if comma or k != "comma"]
    if {"month_first", "day_first"} <= set(left):  # no day above 12 tells
        left = [k for k in left if k not in ("month_first", "day_first")]
    return left[0] if left else ""


def _find_grouped(frame: pl.LazyFrame, names: list[str]) -> frozenset[str]:
    """Columns of numbers in which every point can be the sign between thousands, and some value has one."""
    if not names:
        return frozenset()
    exprs = []
    for name in names:
        pointed = pl.col(name).filter(pl.col(name).str.contains(".", literal=True))
        exprs.append((groups_by_points(pointed).all() & (pointed.len() > 0)).alias(name))
    row = collect(frame.select(exprs)).row(0, named=True)
    return frozenset(name for name, found in row.items() if found)


@dataclass(frozen=True)
class _Settled:
    """Column -> the types that read all its values; and the columns that can only be read with a decimal comma."""

    kinds: dict[str, tuple[str, ...]]
    with_comma: frozenset[str]


def _look_for_all(first: pl.LazyFrame, names: list[str]) -> dict[str, tuple[str, ...]]:
    """The types that read all first values of each column; columns that none reads are left out."""
    left = dict.fromkeys(names, tuple(_TYPES))
    for rows in (first.head(FEW), first):  # a few rule out nearly all, and moments take long to read
        left = {n: kinds for n, kinds in _settle(rows, left, start=True).kinds.items() if kinds}
    return left


def _settle(frame: pl.LazyFrame, candidates: dict[str, tuple[str, ...]], *, start: bool = False) -> _Settled:
    """Which of the asked types read all values of each column; a column of nothing stays text.

    ``start``: these are the first rows alone, and a column of nothing may still become anything.
    """
    if not candidates:
        return _Settled({}, frozenset())
    exprs: list[pl.Expr] = []
    for i, (name, kinds) in enumerate(candidates.items()):
        c = pl.col(name)
        for kind in kinds:
            failed = c.filter(c.is_not_null() & _TYPES[kind](c).is_null())
            exprs.append((~is_missing_text(failed)).any().alias(f"{i}.{kind}"))
        some = pl.lit(True) if start else (~is_missing_text(c)).any()
        exprs.append(some.alias(f"{i}.some"))
        if "comma" in kinds:
            exprs.append(proves_decimal_comma(c).any().alias(f"{i}.proof"))
    row = collect(frame.select(exprs)).row(0, named=True)
    settled, proven = {}, set()
    for i, (name, kinds) in enumerate(candidates.items()):
        settled[name] = tuple(k for k in kinds if not row[f"{i}.{k}"] and row[f"{i}.some"])
        if "comma" in settled[name] and row[f"{i}.proof"]:
            proven.add(name)
    return _Settled(settled, frozenset(proven))
