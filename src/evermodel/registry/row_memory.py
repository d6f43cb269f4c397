"""The rows a model's updates remember: blocks of cleaned rows, of which a small part only ever judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.source import BURST
from evermodel.core.data.table import Table
from evermodel.core.errors import EvermodelError
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store

PAST_SHARE = 0.02  # of each block: kept out of all training, to judge "nothing worse on what was known before"
PAST_LEAST = 50  # fewer could show nothing, and a small table cannot spare them (four hospitals: 2 points of AUC)
TEXT_SHARE, TEXT_LEAST = 0.15, 30  # the same of free text: domains of some hundred rows, which a network soon forgets
PAST_GROUPS = 5  # entities; fewer have no interval worth the name, and an update would be held for ever
PAST_MOST = 1_000  # rows a block: enough to see a harm of a point or two, and no more is lost to training
MOST_ROWS = 2_000_000  # kept in all; beyond it older blocks are thinned


@dataclass(frozen=True)
class RowBlock:
    """The rows of one adoption or update: ``rows`` may be trained on, ``past`` rows only judge."""

    number: int
    rows: str  # blob of a Parquet file
    past: str | None
    n_rows: int
    n_past: int
    source: str = ""
    n_judged: int = 1  # challengers that its newest rows judged, one after another


@dataclass(frozen=True)
class RowMemory:
    """Which blocks are remembered, oldest first; ``quarantined``: blobs of rows that could not judge.

    ``classes``: the labels behind the class codes in the rows; the champion knows fewer where the update that brought
    a new class was not promoted.
    """

    blocks: tuple[RowBlock, ...] = ()
    quarantined: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    digest: str = field(default="", compare=False)  # of the blob that holds this; "" before it is written

    @property
    def next_number(self) -> int:
        return self.blocks[-1].number + 1 if self.blocks else 0

    def rows(self, store: Store, contract: Contract) -> Table | None:
        """All rows that may be trained on, oldest first, as the contract stands now; None if there are none."""
        return read_rows(store, contract, [(b.number, b.rows) for b in self.blocks if b.n_rows])

    def past(self, store: Store, contract: Contract) -> Table | None:
        """The rows of former blocks that nothing was trained on since they came."""
        return read_rows(store, contract, [(b.number, b.past) for b in self.blocks if b.past and b.n_past])


ROW_MEMORY = RecordKind("memory of rows", RowMemory)


def read_memory(store: Store, name: str) -> RowMemory:
    """What is remembered for a model now."""
    return read_memory_blob(store, store.resolve_alias(name, "memory"))


def read_memory_blob(store: Store, digest: str | None) -> RowMemory:
    """What was remembered when the list with that digest was the newest. Raises Damaged."""
    if not digest:
        return RowMemory()
    return replace(decode(ROW_MEMORY, store.get_blob(digest).read_bytes()), digest=digest)


def write_memory(store: Store, memory: RowMemory) -> RowMemory:
    """Stores the list of blocks as a blob; it counts once the alias is moved to it."""
    staged = store.staging_folder() / "memory.json"
    staged.write_text(encode(ROW_MEMORY, replace(memory, digest="")))
    return replace(memory, digest=store.put_blob(staged))


def remember_rows(
    store: Store,
    memory: RowMemory,
    table: Table,
    past: Array,
    source: str,
    *,
    most: int = MOST_ROWS,
    n_judged: int = 1,
) -> RowMemory:
    """Appends ``table`` as the newest block; rows where ``past`` (n,) is True only ever judge.

    Where more than ``most`` rows would be kept, every block is thinned by the same share, small classes last.
    """
    kept = table.rows(~past)
    block = RowBlock(
        memory.next_number,
        write_rows(store, kept.frame),
        write_rows(store, table.rows(past).frame) if past.any() else None,
        len(kept),
        int(past.sum()),
        source,
        n_judged,
    )
    blocks = (*memory.blocks, block)
    total = sum(b.n_rows for b in blocks)
    if total > most:
        blocks = tuple(_thinned(store, b, most / total, table.roles.target) for b in blocks)
    return write_memory(store, replace(memory, blocks=blocks))


def leave_out_repeated(
    store: Store, memory: RowMemory, card: VersionCard, contract: Contract, new: Table
) -> tuple[RowMemory, int]:
    """The memory without the newest blocks that ``new`` repeats as a whole, and how many challengers they have judged.

    Only blocks that came after the champion was trained: what it has learnt from cannot judge a challenger.
    """
    learnt = _find_last_learnt(store, card)
    blocks, n_judged = list(memory.blocks), 0
    while blocks and blocks[-1].number > learnt and _is_repeated(store, blocks[-1], contract, new):
        n_judged = max(n_judged, blocks.pop().n_judged)
    if not n_judged:
        return memory, 0
    return write_memory(store, replace(memory, blocks=tuple(blocks))), n_judged


def _find_last_learnt(store: Store, card: VersionCard) -> int:
    """The number of the newest block that the version may have been trained on."""
    digest = card.data.get("memory", "")
    try:
        return read_memory_blob(store, digest).next_number if digest else 0  # that number is of its own update's rows
    except EvermodelError:  # deleted since: nothing says what it learnt from
        return 1 << 60


def _is_repeated(store: Store, block: RowBlock, contract: Contract, new: Table) -> bool:
    table = read_rows(store, contract, [(block.number, digest) for digest in (block.rows, block.past) if digest])
    if table is None or len(table) > len(new):
        return False
    columns = [c for c in table.frame.columns if c in new.frame.columns]
    return table.frame.join(new.frame, on=columns, how="anti", nulls_equal=True).is_empty()


def choose_retention_rows(table: Table, seed: int) -> Array:
    """(n,) bool: a random small share of the rows, whole entities where there are entities."""
    random = np.random.default_rng(seed)
    is_text = table.roles.target is not None and table.frame[table.roles.target].dtype == pl.String
    share, least = (TEXT_SHARE, TEXT_LEAST) if is_text else (PAST_SHARE, PAST_LEAST)
    wanted = min(PAST_MOST, round(share * len(table)))
    if wanted < least:
        return np.zeros(len(table), dtype=bool)
    if table.roles.entity is None:
        chosen = np.zeros(len(table), dtype=bool)
        chosen[random.choice(len(table), wanted, replace=False)] = True
        return chosen
    entity = table.frame[table.roles.entity].rank("dense").to_numpy().astype(np.int64)
    groups, sizes = np.unique(entity, return_counts=True)
    order = random.permutation(len(groups))
    taken = order[np.cumsum(sizes[order]) <= wanted]
    if len(taken) < PAST_GROUPS:
        return np.zeros(len(table), dtype=bool)
    return np.asarray(np.isin(entity, groups[taken]))


def _thinned(store: Store, block: RowBlock, share: float, target: str | None) -> RowBlock:
    frame = pl.read_parquet(store.get_blob(block.rows))
    order = np.random.default_rng(block.number).permutation(frame.height)
    rank = pl.Series(np.argsort(order))
    by_class = target is not None and frame[target].dtype.is_integer()  # no class of free text comes twice
    numbered = frame.with_columns(__rank=rank)
    if by_class:  # each class keeps at least 50 rows, or all it has
        place = pl.col("__rank").rank("ordinal").over(target)
        keep = (place <= 50) | (place <= share * pl.len().over(target))
    else:
        keep = pl.col("__rank") < round(share * frame.height)
    thin = numbered.filter(keep).drop("__rank")
    return replace(block, rows=write_rows(store, thin), n_rows=thin.height)


def write_rows(store: Store, frame: pl.DataFrame) -> str:
    """Rows as an immutable blob; returns its digest."""
    staged = store.staging_folder() / "rows.parquet"
    frame.write_parquet(staged)
    return store.put_blob(staged)


def read_rows(store: Store, contract: Contract, parts: Sequence[tuple[int, str | None]]) -> Table | None:
    """Blobs of rows with their block numbers, one after the other, as the contract stands now; None of none."""
    if not parts:
        return None
    frames = [pl.read_parquet(store.get_blob(digest or "")) for _, digest in parts]
    blocks = np.repeat([number for number, _ in parts], [f.height for f in frames])
    frame = pl.concat(frames, how="diagonal_relaxed")
    missing = [c for c in contract.columns if c.name not in frame.columns]
    kinds = {"number": pl.Float64, "boolean": pl.Float64, "image": pl.Binary}
    frame = frame.with_columns([pl.lit(None, kinds.get(c.kind, pl.String)).alias(c.name) for c in missing])
    if contract.roles.entity == BURST:  # pictures that came in a table before: each stands alone
        alone = pl.format("row {} of a table", pl.int_range(pl.len()))
        frame = frame.with_columns(
            pl.coalesce(pl.col(BURST), alone).alias(BURST) if BURST in frame.columns else alone.alias(BURST)
        )
    return Table(frame, contract.roles, blocks)


def has_moments(store: Store, memory: RowMemory, column: str) -> bool:
    """Whether the remembered rows hold moments in a column, such as that of the time, and not plain numbers."""
    schemas = (pl.read_parquet_schema(store.get_blob(block.rows)) for block in memory.blocks[:1])
    return any(schema.get(column, pl.Null()).is_temporal() for schema in schemas)


def list_role_columns(roles: Roles) -> list[str]:
    """Columns that are kept beside the inputs."""
    named = [roles.target, roles.time, roles.entity, roles.weight, *roles.slices]
    return [c for c in dict.fromkeys(named) if c is not None]
