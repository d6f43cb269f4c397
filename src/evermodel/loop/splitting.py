"""Which new rows judge: the newest, whole entities, never rows that were known before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.errors import NoData
from evermodel.core.table import Array, Table

JUDGED_SHARE = 0.3  # of the new rows, the newest (EVIDENCE, Judge)
LEAST_ROWS = 10  # fewer new rows than this cannot be split at all


@dataclass(frozen=True)
class NewRows:
    """The rows of one update, oldest first, and which of them judge."""

    table: Table
    judged: Array  # (n,) bool
    known: int = 0  # rows left out because they were known before

    @property
    def training(self) -> Table:
        return self.table.rows(~self.judged)

    @property
    def judging(self) -> Table:
        return self.table.rows(self.judged)


def split_newest(table: Table, *, share: float = JUDGED_SHARE, shuffled: bool = False, seed: int = 0) -> Array:
    """(n,) bool, True for the judge's rows: the newest ``share``, with all rows of an entity on one side.

    ``shuffled`` draws them at random instead: only for rows whose order means nothing. Raises NoData below 10 rows.
    """
    n = len(table)
    if n < LEAST_ROWS:
        raise NoData(f"An update needs at least {LEAST_ROWS} usable new rows. Got {n}.", "Collect more rows first.")
    position = np.random.default_rng(seed).permutation(n) if shuffled else np.arange(n)
    if table.roles.entity is None:
        return np.asarray(position >= n - max(1, round(share * n)))
    entity = table.frame[table.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    first = np.full(entity.max() + 1, n)
    np.minimum.at(first, entity, position)  # an entity is as new as its first row: no row of it is older than the split
    sizes = np.bincount(entity)
    newest_first = np.argsort(-first)
    judged = newest_first[np.cumsum(sizes[newest_first]) <= share * n]
    if not len(judged):
        judged = newest_first[:1]
    if len(judged) == len(sizes):
        raise NoData(f"All rows belong to one entity ({table.roles.entity}); none is left to train on.")
    return np.asarray(np.isin(entity, judged))


def without_known(new: Table, known: Table | None) -> tuple[Table, int]:
    """Rows that are not among ``known``, and how many were; rows that repeat by nature are not taken for known ones.

    With a time or entity column an equal row is the same row. Without, equal rows may be different events: they only
    count as known where they are clearly more than the repeats within ``known`` itself.
    """
    if known is None or not len(known):
        return new, 0
    columns = [c for c in new.frame.columns if c in known.frame.columns]
    before = known.frame.select(columns).unique()
    numbered = new.frame.with_row_index("__row")
    fresh = numbered.join(before, on=columns, how="anti", nulls_equal=True, maintain_order="left")["__row"].to_numpy()
    repeated = len(new) - len(fresh)
    natural = 1.0 - before.height / len(known)
    identified = new.roles.time is not None or new.roles.entity is not None
    if repeated and (identified or repeated / len(new) > natural + 0.2):
        return new.rows(fresh.astype(np.int64)), repeated
    return new, 0
