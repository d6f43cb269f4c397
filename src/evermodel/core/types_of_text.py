"""What type the values of text columns are of, judged by all of them."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from evermodel.core.reading import collect
from evermodel.core.values import is_nothing, moment_from_text, number_from_text, plain_number, proves_decimal_comma

LOOK = 5_000  # rows that rule out most types before all rows are read


def _whole(c: pl.Expr) -> pl.Expr:
    return c.str.strip_chars().cast(pl.Int64, strict=False)


def _truth(c: pl.Expr) -> pl.Expr:
    low = c.str.strip_chars().str.to_lowercase()
    return pl.when(low == "true").then(True).when(low == "false").then(False).otherwise(None)


def _point(c: pl.Expr) -> pl.Expr:
    return number_from_text(c)


def _comma(c: pl.Expr) -> pl.Expr:
    return number_from_text(c, decimal_comma=True)


# In the order in which they are tried; the first that reads every value is the column's type.
_TYPES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "whole": _whole,
    "number": plain_number,
    "truth": _truth,
    "comma": _comma,
    "point": _point,
    "moment": moment_from_text,
}


def typed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """``frame`` with each text column as whole numbers, numbers, truth or moments where every value is one.

    Values missing by their word ("NA", "?") become null there. One streaming pass over the columns in question.
    """
    texts = [name for name, dtype in frame.collect_schema().items() if dtype == pl.String]
    if not texts:
        return frame
    looked = _settled(frame.head(LOOK), {n: tuple(_TYPES) for n in texts}, proof=False)
    asked = {n: _asked(kinds) for n, kinds in looked.items() if kinds}
    found = _settled(frame, asked, proof=True) if asked else {}
    missed = {n: looked[n] for n, kinds in found.items() if not kinds and asked[n] != looked[n]}
    found |= _settled(frame, missed, proof=True) if missed else {}
    return frame.with_columns(_TYPES[kinds[0]](pl.col(n)).alias(n) for n, kinds in found.items() if kinds)


def _asked(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The cheap types alone where one of them is still possible: what they read, the others read alike."""
    return tuple(k for k in kinds if k in ("whole", "number")) or kinds


def _settled(frame: pl.LazyFrame, asked: dict[str, tuple[str, ...]], *, proof: bool) -> dict[str, tuple[str, ...]]:
    """Column -> those of the asked types that read all its values; with ``proof``, a decimal comma must be proved."""
    exprs: list[pl.Expr] = []
    for i, (name, kinds) in enumerate(asked.items()):
        c = pl.col(name)
        for kind in kinds:
            failed = c.filter(c.is_not_null() & _TYPES[kind](c).is_null())
            exprs.append((~is_nothing(failed)).any().alias(f"{i}.{kind}"))
        some = pl.any_horizontal(_TYPES[kind](c).is_not_null().any() for kind in kinds) if proof else pl.lit(True)
        exprs.append(some.alias(f"{i}.some"))  # a column of nothing stays text
        if "comma" in kinds and proof:
            exprs.append(proves_decimal_comma(c).any().alias(f"{i}.proof"))
    row = collect(frame.select(exprs)).row(0, named=True)
    found = {}
    for i, (name, kinds) in enumerate(asked.items()):
        left = [k for k in kinds if not row[f"{i}.{k}"] and row[f"{i}.some"]]
        found[name] = tuple(k for k in left if k != "comma" or row.get(f"{i}.proof", True))
    return found
