"""What type the values of text columns are of, judged by all of them."""

from __future__ import annotations

from typing import Any

import polars as pl

from evermodel.core.reading import collect
from evermodel.core.values import is_nothing, moment_from_text, number_from_text, plain_number, proves_decimal_comma


def typed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """``frame`` with each text column as whole numbers, numbers, truth or moments where every value is one.

    Values missing by their word ("NA", "?") become null there. Two passes at most, streaming.
    """
    texts = [name for name, dtype in frame.collect_schema().items() if dtype == pl.String]
    if not texts:
        return frame
    first = _counts(frame, texts, _plain_counts)
    exprs = {n: _plain_type(pl.col(n), first[n]) for n in texts}
    rest = [n for n in texts if exprs[n] is None and first[n]["present"]]
    if rest:
        second = _counts(frame, rest, _written_counts)
        exprs |= {n: _written_type(pl.col(n), second[n]) for n in rest}
    return frame.with_columns([e.alias(n) for n, e in exprs.items() if e is not None])


def _counts(frame: pl.LazyFrame, names: list[str], count: Any) -> dict[str, dict[str, int]]:
    exprs = [e.alias(f"{i}.{k}") for i, n in enumerate(names) for k, e in count(pl.col(n)).items()]
    row = collect(frame.select(exprs)).row(0, named=True)
    keys = list(count(pl.col("x")))
    return {n: {k: int(row[f"{i}.{k}"] or 0) for k in keys} for i, n in enumerate(names)}


def _plain_counts(c: pl.Expr) -> dict[str, pl.Expr]:
    there = ~is_nothing(c)
    return {
        "present": there.sum(),
        "whole": (there & c.str.strip_chars().cast(pl.Int64, strict=False).is_not_null()).sum(),
        "number": (there & plain_number(c).is_not_null()).sum(),
        "truth": (there & c.str.strip_chars().str.to_lowercase().is_in(["true", "false"])).sum(),
    }


def _plain_type(c: pl.Expr, counts: dict[str, int]) -> pl.Expr | None:
    present = counts["present"]
    if not present:
        return None
    if counts["whole"] == present:
        return c.str.strip_chars().cast(pl.Int64, strict=False)
    if counts["number"] == present:
        return plain_number(c)
    if counts["truth"] == present:
        low = c.str.strip_chars().str.to_lowercase()
        return pl.when(low == "true").then(True).when(low == "false").then(False).otherwise(None)
    return None


def _written_counts(c: pl.Expr) -> dict[str, pl.Expr]:
    there = ~is_nothing(c)
    return {
        "present": there.sum(),
        "proof": (there & proves_decimal_comma(c)).sum(),
        "point": (there & number_from_text(c).is_not_null()).sum(),
        "comma": (there & number_from_text(c, decimal_comma=True).is_not_null()).sum(),
        "moment": (there & moment_from_text(c).is_not_null()).sum(),
    }


def _written_type(c: pl.Expr, counts: dict[str, int]) -> pl.Expr | None:
    present = counts["present"]
    if counts["proof"] and counts["comma"] == present:
        return number_from_text(c, decimal_comma=True)
    if counts["point"] == present:
        return number_from_text(c)
    return moment_from_text(c) if counts["moment"] == present else None
