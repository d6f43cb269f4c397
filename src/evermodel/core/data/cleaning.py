"""Turns rows into the contract's columns and types; counts what was done to each column."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evermodel.core.data import row_cleaning
from evermodel.core.data.column_cleaning import REPEATED, counts, stand_in_counts, value
from evermodel.core.data.contract import Contract
from evermodel.core.data.frame_digest import digest_frame
from evermodel.core.data.needed_values import list_other_targets
from evermodel.core.data.scan import collect, reading
from evermodel.core.data.source import BURST
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import ContractBroken, NoRows, NotFound
from evermodel.core.records.data_summary import CleaningSummary, ColumnCleaning


@dataclass(frozen=True)
class Cleaned:
    """Rows in the contract's columns, order and types, as a query; and what was done to them."""

    frame: pl.LazyFrame
    contract: Contract
    labelled: bool
    rows: int  # that are left
    rows_read: int
    done: tuple[ColumnCleaning, ...]
    dropped: Mapping[str, int]  # reason -> rows: "unusable label", "duplicate row", "no weight"
    notes: tuple[str, ...]
    class_counts: Mapping[str, int]  # class (as text) -> rows; empty for a regression

    @property
    def classes_present(self) -> tuple[Any, ...]:
        """The contract's classes that occur in these rows."""
        return tuple(c for c in self.contract.classes if self.class_counts.get(class_text(c)))

    def collect(self) -> Table:
        """The rows in memory, oldest first where there is a time column and labels, else in the order of the file."""
        frame, time = collect(self.frame), self.contract.roles.time
        if self.labelled and time is not None:
            frame = frame.sort(time, maintain_order=True, nulls_last=False)
        return Table(frame, self.contract.roles, digest=digest_frame(frame))

    def summary(self) -> CleaningSummary:
        """What was done, without the rows; of the columns only those to which something was done."""
        untouched = [ColumnCleaning(d.column) for d in self.done]
        columns = tuple(d for d, none in zip(self.done, untouched, strict=True) if d != none)
        return CleaningSummary(
            self.rows, self.rows_read, dict(self.dropped), columns, self.notes, dict(self.class_counts)
        )

    def __str__(self) -> str:
        summary = self.summary()
        lines = [f"{self.rows:,} rows of {self.rows_read:,}"]
        lines += [f"  {n:,} dropped: {reason}" for reason, n in summary.dropped.items()]
        for column in summary.columns:
            counts = {kind: n for kind, n in dataclasses.asdict(column).items() if kind != "column" and n}
            lines.append(f"  {column.column}: " + ", ".join(f"{n:,} {kind}" for kind, n in counts.items()))
        return "\n".join([*lines, *(f"  {n}" for n in self.notes)])


def clean(frame: pl.LazyFrame, contract: Contract, *, labelled: bool, keep: tuple[str, ...] = ()) -> Cleaned:
    """The rows as the contract wants them; ``keep`` names columns (an id) that are carried along untouched.

    Without ``labelled`` no row is ever dropped or moved. Costs a pass for the counts, and one for order and duplicates
    where there is a time column. Raises ContractBroken for a missing column, BadData for negative weights, NoData
    where no row is left.
    """
    schema = frame.collect_schema()
    _check_columns(contract, schema, labelled, keep)
    counted = _count(frame, contract, schema, labelled)
    if not counted["rows"]:
        raise NoRows("There are no rows.")
    stand_ins = _stand_ins(frame, contract, schema, counted)
    done = _done(contract, counted, stand_ins)
    notes = _column_notes(contract, counted, done)
    rows = row_cleaning.choose(frame, contract, schema, counted, labelled=labelled)
    exprs = [value(c, schema[c.name], tuple(stand_ins.get(c.name, ()))) for c in contract.columns]
    column_names = set(contract.names)
    extra = row_cleaning.role_columns(contract, schema, frame, labelled=labelled)
    exprs += [e.alias(n) for n, e in extra.items() if n not in column_names]
    exprs += [pl.col(n) for n in dict.fromkeys(keep) if n not in column_names | set(extra)]
    return Cleaned(
        frame=rows.frame.select(exprs),
        contract=contract,
        labelled=labelled,
        rows=rows.left,
        rows_read=int(counted["rows"]),
        done=done,
        dropped=rows.dropped,
        notes=(*notes, *rows.notes),
        class_counts=rows.classes,
    )


def clean_in_batches(cleaned: Cleaned, *, rows: int = 65_536) -> Iterator[pl.DataFrame]:
    """The cleaned rows, ``rows`` at a time, in the order of the file.

    Memory stays flat however long the file and slow the caller: polars reads ahead by some row groups (0.7 GB where
    they are 250,000 rows of twenty columns), then waits.
    """
    with reading():
        yield from cleaned.frame.collect_batches(chunk_size=rows, maintain_order=True, lazy=True, engine="streaming")


def _check_columns(contract: Contract, schema: pl.Schema, labelled: bool, keep: tuple[str, ...]) -> None:
    roles = contract.roles
    needed = list(contract.names)
    if labelled:
        named = (roles.target, roles.time, roles.entity, roles.weight, *roles.slices)
        needed += [n for n in named if n is not None and n != BURST]  # which only folders of pictures have
    if labelled and contract.outputs:
        needed += list_other_targets(contract)
    missing = [n for n in needed if n not in schema]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", …" if len(missing) > 10 else "")
        nearest = NotFound.among("column", missing[0], schema.names()).hint
        raise ContractBroken(f"{'A column is' if len(missing) == 1 else 'Columns are'} missing: {shown}.", nearest)
    for name in keep:
        if name not in schema:
            raise NotFound.among("column", name, schema.names())


def _count(frame: pl.LazyFrame, contract: Contract, schema: pl.Schema, labelled: bool) -> dict[str, Any]:
    """All counts in one pass, keyed "3.missing" by the column's place, "row.…" for whole rows, and "rows"."""
    exprs: list[pl.Expr] = [pl.len().alias("rows")]
    for i, c in enumerate(contract.columns):
        exprs += [e.alias(f"{i}.{k}") for k, e in counts(c, schema[c.name]).items()]
    if labelled:
        exprs += [e.alias(f"row.{k}") for k, e in row_cleaning.counts(contract, schema).items()]
    return collect(frame.select(exprs)).row(0, named=True)


def _stand_ins(
    frame: pl.LazyFrame, contract: Contract, schema: pl.Schema, counted: Mapping[str, Any]
) -> dict[str, dict[float, int]]:
    """Column -> stand-ins that occur repeatedly, and how often; a pass over the columns with values far outside."""
    far = [c for i, c in enumerate(contract.columns) if (counted.get(f"{i}.far") or 0) >= REPEATED]
    if not far:
        return {}
    exprs = [e.alias(f"{i}={s}") for i, c in enumerate(far) for s, e in stand_in_counts(c, schema[c.name]).items()]
    row = collect(frame.select(exprs)).row(0, named=True)
    found: dict[str, dict[float, int]] = {}
    for key, n in row.items():
        place, _, stand_in = key.partition("=")
        if n >= REPEATED:
            found.setdefault(far[int(place)].name, {})[float(stand_in)] = int(n)
    return found


def _done(
    contract: Contract, counted: Mapping[str, Any], stand_ins: Mapping[str, Mapping[float, int]]
) -> tuple[ColumnCleaning, ...]:
    done = []
    names = [f.name for f in dataclasses.fields(ColumnCleaning) if f.name != "column"]
    for i, c in enumerate(contract.columns):
        replaced = sum(stand_ins.get(c.name, {}).values())
        numbers = {k: int(counted.get(f"{i}.{k}") or 0) for k in names}
        numbers["impossible"] += replaced
        numbers["missing"] += replaced
        done.append(ColumnCleaning(c.name, **numbers))
    return tuple(done)


def _column_notes(contract: Contract, counted: Mapping[str, Any], done: tuple[ColumnCleaning, ...]) -> list[str]:
    notes = []
    for i, (c, d) in enumerate(zip(contract.columns, done, strict=True)):
        if d.missing == counted["rows"]:
            notes.append(f"{c.name}: no usable value in any row.")
        least = counted.get(f"{i}.least")
        if counted["rows"] > 1 and not d.missing and least is not None and least == counted[f"{i}.greatest"]:
            notes.append(f"{c.name}: the same value in every row ({least}).")
        if d.impossible:
            notes.append(f"{c.name}: {d.impossible:,} stand-ins for a missing value, far outside the known range.")
    return notes
