"""A row of totals below the others, as spreadsheets have it: it is no observation, and no row to score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import collect
from evermodel.core.data.values import number

LAST = 3  # rows that are looked at
FEWEST = 5  # rows below which a sum may be chance
NEAR = 1e-6  # of the sum
_WORDS = re.compile(
    r"^(grand |sub)?(totals?|sums?|summe|gesamt(summe)?|zusammen|somme|total général|totale|suma"
    r"|合计|总计|小计)\s*:?$",
    re.IGNORECASE,
)
TEXTS = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class TotalRow:
    """``row``: counted from 1 among the rows; ``column`` and ``value`` are what shows it."""

    row: int
    column: str
    value: str


def find_total_row(contract: Contract, frame: pl.LazyFrame) -> TotalRow | None:
    """The first of the last rows that is a row of totals.

    It says so ("Total") where a number belongs, or beside a number that is the sum of all others; or it has no input
    and a number that is such a sum. Costs one pass over the contract's columns.
    """
    schema = frame.collect_schema()
    names = [n for n in dict.fromkeys((*contract.names, *_other_texts(contract, schema))) if n in schema]
    target = contract.roles.target or ""
    asked = [n for n in dict.fromkeys((*names, target)) if n in schema and schema[n] != pl.Binary]
    if not asked:
        return None
    last = collect(frame.select(pl.col(asked).tail(LAST), pl.len().alias("__rows__")))
    rows = int(last["__rows__"][0]) if last.height else 0
    if rows < FEWEST:
        return None
    numbers = {c.name for c in contract.columns if c.kind == "number"}
    numbers |= {target} if contract.task == "regression" else set()
    suspects = []
    for place, row in enumerate(last.drop("__rows__").iter_rows(named=True)):
        at = rows - last.height + place + 1
        said = [n for n, v in row.items() if schema[n] in TEXTS and isinstance(v, str) and _WORDS.match(v.strip())]
        where_numbers_belong = [n for n in said if n in numbers]
        if where_numbers_belong:
            return TotalRow(at, where_numbers_belong[0], str(row[where_numbers_belong[0]]))
        if said or all(row[n] is None for n in contract.names if n in row):
            suspects.append((at, row))
    return _check_sums(frame, suspects, sorted(numbers & set(asked)), schema, rows) if suspects else None


def _other_texts(contract: Contract, schema: pl.Schema) -> list[str]:
    return [n for n, dtype in schema.items() if dtype in TEXTS and n not in contract.names][:20]


def _check_sums(
    frame: pl.LazyFrame, suspects: list[tuple[int, dict[str, Any]]], names: list[str], schema: pl.Schema, rows: int
) -> TotalRow | None:
    if not names:
        return None
    values = [number(pl.col(n), schema[n]).alias(n) for n in names]
    read = frame.select(values)
    sums = collect(read.select(pl.all().fill_nan(None).sum())).row(0, named=True)
    tail = collect(read.tail(LAST))
    for at, _ in suspects:
        own = tail.row(at - (rows - tail.height) - 1, named=True)
        for name in names:
            value, others = own[name], sums[name] - (own[name] or 0.0)
            if value and abs(value - others) <= NEAR * abs(others):
                return TotalRow(at, name, f"{value:g}")
    return None
