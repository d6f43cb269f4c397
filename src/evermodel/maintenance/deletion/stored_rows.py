"""Rows that a registry keeps as blobs: what is remembered, delivered, watched, and held as evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import polars as pl

from evermodel.core.errors import Damaged
from evermodel.core.records.event import Decided, DeliveryRefused, Event, replace_evidence
from evermodel.core.store import Store
from evermodel.maintenance.deletion.row_match import RowMatch
from evermodel.maintenance.maintenance_state import DeliveredRows, MaintenanceState
from evermodel.monitoring.monitor_state import MonitorState
from evermodel.monitoring.watched_rows import Y
from evermodel.registry.row_memory import RowBlock, RowMemory, write_rows

Find = Callable[[pl.DataFrame], pl.Series]


@dataclass
class BlobRewriter:
    """Writes blobs of rows anew without the rows that are meant. A blob that holds none stays as it is."""

    store: Store
    match: RowMatch
    dry_run: bool = False
    former: set[str] = field(default_factory=set)  # blobs that hold such rows
    untold: int = 0  # rows that cannot be told apart: they have no such column
    removed: list[pl.DataFrame] = field(default_factory=list)  # remembered rows that go
    _done: dict[str, tuple[str, int]] = field(default_factory=dict)

    def rewrite(self, digest: str, find: Find | None = None, *, counts_untold: bool = False) -> tuple[str, int]:
        """The blob that takes its place ("" where no row is left), and how many rows go. One that is gone stays so."""
        if digest in self._done:
            return self._done[digest]
        try:
            frame = pl.read_parquet(self.store.get_blob(digest), glob=False)
        except Damaged:  # 'evermodel doctor' says so; there are no rows to delete
            return digest, 0
        if counts_untold and not self.match.can_tell(frame):
            self.untold += frame.height
        gone = (find or self.match.find)(frame)
        rows, made = int(gone.sum()), digest
        if rows:
            self.former.add(digest)
            self.removed.append(frame.filter(gone))
            left = frame.filter(~gone)
            made = "" if not left.height else digest if self.dry_run else write_rows(self.store, left)
        self._done[digest] = made, rows
        return self._done[digest]


def rewrite_memory(memory: RowMemory, blobs: BlobRewriter) -> tuple[RowMemory, int, set[int]]:
    """The memory without the rows, how many went, and the numbers of the blocks that held them."""
    total, touched, blocks = 0, set(), []
    for block in memory.blocks:
        new, gone = _rewrite_block(block, blobs)
        total += gone
        touched |= {block.number} if gone else set()
        blocks.append(new)
    quarantined = []
    for digest in memory.quarantined:
        kept, gone = blobs.rewrite(digest, counts_untold=True)
        total += gone
        quarantined += [kept] if kept else []
    return dataclasses.replace(memory, blocks=tuple(blocks), quarantined=tuple(quarantined)), total, touched


def _rewrite_block(block: RowBlock, blobs: BlobRewriter) -> tuple[RowBlock, int]:
    """A block keeps its number, and where all its rows go the blob without rows: blocks are counted by the newest."""
    rows, gone = blobs.rewrite(block.rows, counts_untold=True)
    if not rows:
        frame = pl.read_parquet(blobs.store.get_blob(block.rows), glob=False).clear()
        rows = block.rows if blobs.dry_run else write_rows(blobs.store, frame)
    past, past_gone = (None, 0) if block.past is None else blobs.rewrite(block.past, counts_untold=True)
    changed = dataclasses.replace(
        block, rows=rows, past=past or None, n_rows=block.n_rows - gone, n_past=block.n_past - past_gone
    )
    return changed, gone + past_gone


def rewrite_delivered(state: MaintenanceState, blobs: BlobRewriter) -> tuple[MaintenanceState, int]:
    """What maintenance holds back, without the rows."""
    total = 0

    def rewrite(parts: Iterable[DeliveredRows]) -> tuple[DeliveredRows, ...]:
        nonlocal total
        kept = []
        for part in parts:
            blob, gone = blobs.rewrite(part.blob, counts_untold=True)
            total += gone
            if blob:
                kept.append(dataclasses.replace(part, blob=blob, rows=part.rows - gone))
        return tuple(kept)

    changed = dataclasses.replace(
        state,
        ready=rewrite(state.ready),
        waiting=rewrite(state.waiting),
        unmatched_labels=rewrite(state.unmatched_labels),
    )
    return changed, total


def rewrite_watched(state: MonitorState, blobs: BlobRewriter) -> tuple[MonitorState, int]:
    """What a monitor holds, without the rows. Its counts by window stay: no row can be read from them."""
    total, parts, labels = 0, [], []
    for part in state.stored_rows:
        blob, gone = blobs.rewrite(part.blob, blobs.match.find_watched)
        total += gone
        if not gone:
            parts.append(part)
        elif blob:
            labelled = part.labelled
            if not blobs.dry_run:
                labelled = pl.read_parquet(blobs.store.get_blob(blob), columns=[Y], glob=False)[Y].count()
            parts.append(dataclasses.replace(part, blob=blob, rows=part.rows - gone, labelled=labelled))
    for entry in state.waiting_labels:
        blob, gone = blobs.rewrite(entry.blob, blobs.match.find_watched)
        total += gone
        labels += [dataclasses.replace(entry, blob=blob, rows=entry.rows - gone)] if blob else []
    return dataclasses.replace(state, stored_rows=tuple(parts), waiting_labels=tuple(labels)), total


def rewrite_evidence(log: Iterable[Event], blobs: BlobRewriter) -> tuple[dict[str, str], int]:
    """Rows that judged held challengers, and those of refused deliveries: former blob -> the one in its place."""
    replaced: dict[str, str] = {}
    total, events = 0, list(log)
    for event in events:
        digest = ""
        if isinstance(event.data, Decided) and event.data.held is not None:
            digest = event.data.held.rows
        elif isinstance(event.data, DeliveryRefused):
            digest = event.data.rows
        digest = replace_evidence(events, digest)
        if not digest or digest in replaced:
            continue
        made, gone = blobs.rewrite(digest)
        total += gone
        if gone:
            replaced[digest] = made
    return replaced, total
