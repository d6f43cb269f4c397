"""Rows with a role for each column."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.records.column_roles import Roles


@dataclass(frozen=True)
class Table:
    """Rows in memory, oldest first, cleaned to the contract's types; ``blocks`` says which update each row came with.

    Use it for rows a change or the judge looks at. For files that may not fit, stay with a ``pl.LazyFrame``.
    """

    frame: pl.DataFrame
    roles: Roles
    blocks: Array | None = None  # (n,) int: 0 for the oldest block; None: all rows are of one block
    digest: str = ""

    def __len__(self) -> int:
        return self.frame.height

    def rows(self, index: Array) -> Table:
        """The rows at ``index`` (n,) int or bool, in that order."""
        at = np.flatnonzero(index) if index.dtype == bool else index
        blocks = None if self.blocks is None else self.blocks[at]
        return dataclasses.replace(self, frame=self.frame[at], blocks=blocks, digest="")

    def newest_block(self) -> int:
        return 0 if self.blocks is None or not len(self) else int(self.blocks.max())

    def with_rows(self, newer: Table | None) -> Table:
        """These rows, then those of ``newer``; the block numbers stay as they are."""
        if newer is None:
            return self
        blocks = np.concatenate([_blocks(self), _blocks(newer)])
        return Table(pl.concat([self.frame, newer.frame], how="vertical_relaxed"), self.roles, blocks)


def _blocks(table: Table) -> Array:
    return np.zeros(len(table), dtype=np.int64) if table.blocks is None else table.blocks
