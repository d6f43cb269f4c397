"""What of a table a bare model may take: all columns, or those that do not number the rows; rare categories or not.

A category in few of the rows may be newer than the model: then its tables do not have it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import polars as pl

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table

FEWEST_ROWS = 100  # from which whole numbers that never repeat are no measurement
RARE = 0.01  # of the rows, at most, for a category that may be newer than the model
MOST_RARE = 3


def list_column_choices(contract: Contract, frame: pl.DataFrame) -> Iterator[tuple[Contract, str]]:
    """The contract as it is, without the columns that number the rows, and both without the rarest categories; each
    with words for what it leaves out. Columns that the user named as inputs, or as slices, stay."""
    numbering, rare = find_numbering(contract, frame), _find_rare(contract, frame)
    bases = [(contract, "")]
    if numbering and len(numbering) < len(contract.columns):
        bases.append((_leave_out(contract, numbering), f", without {', '.join(numbering)}"))
    for count in range(len(rare) + 1):
        for base, said in bases:
            yield _forget(base, rare[:count]), said + "".join(f", {value!r} unknown" for _, value in rare[:count])


def find_numbering(contract: Contract, frame: pl.DataFrame) -> list[str]:
    """The columns of whole numbers that never repeat, where the user named no inputs."""
    if contract.roles.inputs is not None:
        return []
    return [c.name for c in contract.columns if _numbers_rows(c, frame) and c.name not in contract.roles.slices]


def take_columns(table: Table, before: Contract, chosen: Contract) -> Table:
    """The rows without the columns that the choice leaves out."""
    left_out = [name for name in before.names if name not in chosen.names]
    return dataclasses.replace(table, frame=table.frame.drop(left_out), roles=chosen.roles) if left_out else table


def _numbers_rows(column: Column, frame: pl.DataFrame) -> bool:
    if column.kind != "number" or not column.whole or column.missing or column.below is not None:
        return False
    return frame.height >= FEWEST_ROWS and frame[column.name].n_unique() == frame.height


def _find_rare(contract: Contract, frame: pl.DataFrame) -> list[tuple[str, str]]:
    """The columns and their rarest categories, the rarest first."""
    found = []
    for column in contract.columns:
        if column.kind == "category" and column.name in frame.columns:
            counts = frame[column.name].value_counts().drop_nulls().rows()
            rare = sorted((count, value) for value, count in counts if count <= max(1, RARE * frame.height))
            found += [(count, column.name, value) for count, value in rare[: max(0, len(column.categories) - 2)]]
    return [(name, value) for _, name, value in sorted(found)[:MOST_RARE]]


def _forget(contract: Contract, rare: list[tuple[str, str]]) -> Contract:
    notes = [f"{name}: {value!r} is in few rows, and the model fits them without knowing it." for name, value in rare]
    columns = tuple(
        dataclasses.replace(c, categories=tuple(v for v in c.categories if (c.name, v) not in rare))
        for c in contract.columns
    )
    return dataclasses.replace(contract, columns=columns, notes=(*contract.notes, *notes)) if rare else contract


def _leave_out(contract: Contract, names: list[str]) -> Contract:
    notes = (f"{n}: left out, its whole numbers never repeat, and the model fits the rows without it." for n in names)
    return dataclasses.replace(
        contract,
        columns=tuple(column for column in contract.columns if column.name not in names),
        roles=dataclasses.replace(contract.roles, drop=tuple(dict.fromkeys((*contract.roles.drop, *names)))),
        left_out=(*contract.left_out, *names),
        notes=(*contract.notes, *notes),
    )
