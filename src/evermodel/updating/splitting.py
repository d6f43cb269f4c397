"""Which new rows judge: the newest, whole entities, never rows that were known before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import NoData

JUDGED_SHARE = 0.3  # of the new rows, the newest (EVIDENCE, Judge)
TUNING_SHARE = 0.15  # of the new rows that may be trained on, the newest: by them a training is stopped early
LEAST_TUNING, MOST_TUNING = 30, 5_000  # rows; fewer say nothing about an epoch
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

    ``shuffled`` draws them at random instead, entities class by class: only for rows whose order means nothing. Raises
    NoData below 10 rows.
    """
    n = len(table)
    if n < LEAST_ROWS:
        raise NoData(f"An update needs at least {LEAST_ROWS} usable new rows. Got {n}.", "Collect more rows first.")
    position = np.random.default_rng(seed).permutation(n) if shuffled else np.arange(n)
    if table.roles.entity is None:
        return np.asarray(position >= n - max(1, round(share * n)))
    entity = table.frame[table.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    if shuffled and table.frame[str(table.roles.target)].dtype.is_integer():
        return _draw_by_class(entity, table.frame[str(table.roles.target)].to_numpy(), position, share)
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


def _draw_by_class(entity: Array, label: Array, position: Array, share: float) -> Array:
    """(n,) bool: of each class about ``share`` of the rows, whole entities in a drawn order; never all of a class.

    An entity is of the class of its first row. A class of one entity is trained on. Raises NoData where all are.
    """
    order = np.argsort(position)
    drawn, first_row = np.unique(entity[order], return_index=True)
    classes, sizes = label[order][first_row], np.bincount(entity, minlength=len(drawn))
    judged: list[int] = []
    for of_class in np.unique(classes):
        members = np.flatnonzero(classes == of_class)
        members = members[np.argsort(first_row[members])]
        fit = np.cumsum(sizes[members]) <= share * sizes[members].sum()
        judged += members[: min(max(int(fit.sum()), 1), len(members) - 1)].tolist()
    if not judged:
        raise NoData("Each class is one entity; none is left to judge.", "Give rows of more entities a class.")
    return np.asarray(np.isin(entity, drawn[judged]))


def choose_tuning_rows(table: Table, *, shuffled: bool = False, seed: int = 0) -> Array:
    """(n,) bool: rows to stop a training early by, the newest, whole entities; none where they would be too few."""
    share = min(TUNING_SHARE, MOST_TUNING / max(len(table), 1))
    if share * len(table) < LEAST_TUNING:
        return np.zeros(len(table), dtype=bool)
    try:
        chosen = split_newest(table, share=share, shuffled=shuffled, seed=seed)
    except NoData:
        return np.zeros(len(table), dtype=bool)
    return chosen if LEAST_TUNING <= chosen.sum() <= 2 * share * len(table) else np.zeros(len(table), dtype=bool)


def drop_known_rows(new: Table, known: Table | None) -> tuple[Table, int]:
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
