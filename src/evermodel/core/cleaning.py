"""Turns rows into the contract's columns and types; counts what was done to each column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.table import Table


@dataclass(frozen=True)
class Done:
    """What cleaning did to one column, in rows."""

    column: str
    converted: int = 0  # text that was read as a number
    trimmed: int = 0  # blanks around a value taken away
    unreadable: int = 0  # no number could be read: now missing
    infinite: int = 0  # now missing
    impossible: int = 0  # a stand-in such as -999: now missing
    missing: int = 0  # missing after cleaning


@dataclass(frozen=True)
class Cleaned:
    """Rows in the contract's columns, order and types, as a query; and what was done to them."""

    frame: pl.LazyFrame
    contract: Contract
    labelled: bool
    rows: int  # that are left
    rows_read: int
    done: tuple[Done, ...]
    dropped: Mapping[str, int]  # reason -> rows: "unusable label", "duplicate", "no weight"
    notes: tuple[str, ...]
    class_counts: Mapping[str, int]  # class (as text) -> rows; empty for a regression

    @property
    def classes_present(self) -> tuple[Any, ...]:
        """The contract's classes that occur in these rows."""
        raise NotImplementedError

    def collect(self) -> Table:
        """The rows in memory, oldest first where there is a time column and labels, else in the order of the file."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        raise NotImplementedError


def clean(frame: pl.LazyFrame, contract: Contract, *, labelled: bool, keep: tuple[str, ...] = ()) -> Cleaned:
    """The rows as the contract wants them; ``keep`` names columns (an id) that are carried along untouched.

    Without ``labelled`` no row is ever dropped or moved. Costs one pass over the rows for the counts.
    Raises ContractBroken for a missing column, BadData for negative weights, NoData where no row is left.
    """
    raise NotImplementedError


def in_batches(cleaned: Cleaned, *, rows: int = 131_072) -> Iterator[pl.DataFrame]:
    """The cleaned rows, ``rows`` at a time, in the order of the file; memory stays flat however long the file is."""
    raise NotImplementedError
