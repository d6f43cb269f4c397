"""One column's cleaning, as expressions: its value, and how many rows each step touches."""

from __future__ import annotations

import polars as pl

from evermodel.core.data.contract import Column
from evermodel.core.data.values import canonical_text, is_missing_text, number, parse_truth
from evermodel.core.errors import ContractBroken

STAND_INS = (-99.0, -999.0, -9999.0, -99999.0, -999999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0)
REPEATED = 3  # rows with a stand-in before it counts as one
LARGEST = 1e38  # beyond it a float32 is infinite
TEXTS = (pl.String, pl.Categorical, pl.Enum)


def raw_value(column: Column, dtype: pl.DataType) -> pl.Expr:
    """The column in the contract's type, infinities and stand-ins still in it."""
    here = pl.col(column.name)
    if dtype == pl.Null:
        return here.cast({"image": pl.Binary, "text": pl.String, "category": pl.String}.get(column.kind, pl.Float64))
    if column.kind == "number":
        value = number(here, dtype, decimal_comma=column.decimal_comma)
        return pl.when(value.is_nan()).then(None).otherwise(value)
    if column.kind == "boolean":
        return parse_truth(here, dtype)
    if column.kind == "image":
        if dtype != pl.Binary:
            raise ContractBroken(f"{column.name!r} must hold pictures. Got {dtype}.", "Give PNG or JPEG bytes.")
        return here
    if dtype == pl.Binary:
        raise ContractBroken(f"{column.name!r} must hold {column.kind}. Got bytes.")
    if column.kind == "text":  # a vectorizer of letters reads the blanks too
        return here.cast(pl.String, strict=False)
    return canonical_text(here, dtype)


def value(column: Column, dtype: pl.DataType, stand_ins: tuple[float, ...]) -> pl.Expr:
    """The cleaned column: Float64, String or Binary, null where there is no usable value."""
    found = raw_value(column, dtype)
    if column.kind == "number":
        bad = ~found.is_finite() | (found.abs() > LARGEST)
        if stand_ins:
            bad = bad | found.is_in(stand_ins)
        found = pl.when(bad).then(None).otherwise(found)
    return found.alias(column.name)


def far_outside(column: Column, found: pl.Expr) -> pl.Expr | None:
    """Whether a value lies more than one whole range outside of what the reference rows held; None if unknown."""
    if column.below is not None:  # a code is far from no other code
        return None
    if column.kind != "number" or column.low is None or column.high is None or column.high <= column.low:
        return None
    width = column.high - column.low
    return (found < column.low - width) | (found > column.high + width)


def stand_in_counts(column: Column, dtype: pl.DataType) -> dict[float, pl.Expr]:
    """How often each stand-in occurs far outside the known range."""
    found = raw_value(column, dtype)
    far = far_outside(column, found)
    return {} if far is None else {s: ((found == s) & far).sum() for s in STAND_INS}


def counts(column: Column, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """What to count in one pass: what was done, by kind; values far outside; the least and greatest value."""
    here, found = pl.col(column.name), raw_value(column, dtype)
    counted: dict[str, pl.Expr] = {}
    if dtype in TEXTS:
        text = here.cast(pl.String)
        counted["trimmed"] = (text != text.str.strip_chars()).sum()
        if column.kind in ("number", "boolean"):
            counted["converted"] = found.is_not_null().sum()
            counted["unreadable"] = (found.is_null() & ~is_missing_text(text)).sum()
    elif column.kind == "boolean" and dtype != pl.Null:
        counted["unreadable"] = (found.is_null() & here.is_not_null()).sum()
    usable = found
    if column.kind == "number":
        counted["infinite"] = found.is_infinite().sum()
        counted["impossible"] = (found.is_finite() & (found.abs() > LARGEST)).sum()
        usable = pl.when(found.is_finite() & (found.abs() <= LARGEST)).then(found)
        far = far_outside(column, found)
        if far is not None:
            counted["far"] = far.sum()
    counted["missing"] = usable.is_null().sum()
    if column.kind not in ("image", "text"):
        counted["least"], counted["greatest"] = usable.min(), usable.max()
    return counted
