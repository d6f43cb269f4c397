"""Delete the rows of one person or thing from everything that a registry keeps of a model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evermodel.core.data.contract import Contract
from evermodel.core.errors import BadSetting, EvermodelError, Moved
from evermodel.core.records.event import EventKind, RowsDeleted
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move, Store
from evermodel.maintenance import maintenance_state
from evermodel.maintenance.deletion.logged_rows import (
    LogFile,
    await_sealed,
    find_predictions,
    list_logs,
    put_in_place,
    stage_files,
)
from evermodel.maintenance.deletion.row_match import RowMatch
from evermodel.maintenance.deletion.stored_rows import (
    BlobRewriter,
    rewrite_delivered,
    rewrite_evidence,
    rewrite_memory,
    rewrite_watched,
)
from evermodel.maintenance.maintenance_state import Delivery, MaintenanceState
from evermodel.monitoring import monitor_state
from evermodel.monitoring.monitor_state import MonitorState
from evermodel.registry.golden_predictions import NAMES as GOLDEN
from evermodel.registry.lookup import champion_of, event, open_store
from evermodel.registry.predictions.seal_segments import log_folder
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory, read_memory_blob, write_memory
from evermodel.registry.upkeep.needed_files import find_references

HOUR = 3600.0
TRIES = 20  # of deleting while others change the same
PARQUET = b"PAR1"  # how such a file begins
PLACES = ("logged", "labels", "remembered", "evidence", "delivered", "watched")


@dataclass(frozen=True)
class DeleteResult(Result):
    """How many rows were deleted where, and what still knows of them."""

    name: str
    column: str
    rows: dict[str, int]  # place -> rows, of PLACES
    versions: tuple[str, ...]  # that may have been trained on them or judged by them
    golden: tuple[str, ...]  # versions whose files keep one of the rows, to check themselves by
    untold: int  # kept rows that have no such column
    young: int  # files that nothing points at and that hold such rows, too young to be told from work in progress
    dry_run: bool

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    def lines(self) -> list[str]:
        """What went, what stays, and what to do about that."""
        verb = "would delete" if self.dry_run else "deleted"
        where = ", ".join(f"{self.rows[place]:,} {place}" for place in PLACES)
        found = [f"{verb} {self.total:,} rows of one {self.column} of {self.name}: {where}"]
        if self.versions:
            found.append(
                f"  may have been trained on or judged by them, and stay as they are: {', '.join(self.versions)}"
            )
        if self.golden:
            found.append(f"  keep one of the rows to check themselves by: {', '.join(self.golden)}")
            found.append("  'evermodel gc --keep-versions 1' removes the files of versions that nothing needs")
        if self.untold:
            found.append(f"  {self.untold:,} kept rows have no column {self.column!r}, and cannot be told apart by it")
        if self.young:
            found.append(
                f"  {self.young:,} files that nothing points at hold such rows, and may be of work that is going on: "
                "run it again in an hour"
            )
        found.append("  backups, files that were given, and what was published or exported are not touched")
        return found


def delete(
    name: str,
    *,
    column: str,
    value: str | int,
    dry_run: bool = False,
    grace: float = HOUR,
    registry: str | Path | None = None,
) -> DeleteResult:
    """Delete all rows of one value of a column, such as a customer's, wherever the registry keeps rows of a model.

    The log of predictions and its labels, the rows that updates remember, those that wait in maintenance or judged a
    held challenger, and what the monitor holds. Models stay: the versions that may have learnt from the rows are named.
    Interrupted, the same call goes on where it was.

    Args:
        name: the name of the model.
        column: the entity named at adoption, or another column that was kept, such as an id.
        value: the value whose rows go.
        dry_run: only say how many rows there are.
        grace: seconds; younger files that nothing points at may be of work that is going on, and are only counted.
        registry: the location of the registry.

    Raises:
        NotFound: there is no such model.
        BadSetting: the value is empty.
        AskedWrongly: a running server has not handed its last predictions over.
        Moved: others changed the registry all the while.

    Example:
        $ evermodel delete churn --entity customer=4711
    """
    text = str(value).strip()
    if not text or not column.strip():
        raise BadSetting("`entity` must be a column and a value, such as customer=4711.")
    store = open_store(registry)
    contract = _read_contract(store, name)
    folder = log_folder(store, name)
    logs = list_logs(folder)
    if not dry_run:
        await_sealed(logs)
        _finish_former(store, name)
    match = find_predictions(logs, RowMatch(column, text, column == contract.roles.entity))
    with stage_files(logs, match) as files:
        for _ in range(TRIES):
            try:
                result = _delete_stored(store, name, contract, match, files, dry_run)
                return dataclasses.replace(result, young=_remove_unreferenced(store, match, grace, dry_run))
            except Moved as error:
                moved = error
    raise Moved(f"The rows of {name} were changed by others {TRIES} times.", "Run it again.") from moved


def _read_contract(store: Store, name: str) -> Contract:
    card = champion_of(store, name)
    return Contract.from_json((store.version_folder(name, card.version) / "contract.json").read_text())


def _delete_stored(
    store: Store, name: str, contract: Contract, match: RowMatch, files: list[LogFile], dry_run: bool
) -> DeleteResult:
    """One try. Names move in one transaction; then files of the log take their places, and former blobs go."""
    blobs = BlobRewriter(store, match, dry_run)
    log = store.read_events(name)
    memory, remembered, touched = rewrite_memory(read_memory(store, name), blobs)
    state, state_digest = maintenance_state.read_maintenance_state(store, name)
    waiting, delivered = rewrite_delivered(state, blobs)
    monitor, monitor_digest = monitor_state.read_state(store, name)
    watching, watched = (None, 0) if monitor is None else rewrite_watched(monitor, blobs)
    replaced, evidence = rewrite_evidence(log, blobs)
    cards = store.list_cards(name)
    touched |= _search_former(store, cards, blobs)
    rows = dict(zip(PLACES, (*_count_files(files), remembered, evidence, delivered, watched), strict=True))
    versions = tuple(card.version for card in cards if _may_know(store, card, touched))
    golden = tuple(card.version for card in cards if _keeps_golden(store, card, contract, blobs.removed))
    result = DeleteResult(name, match.column, rows, versions, golden, blobs.untold, 0, dry_run)
    if dry_run or (not result.total and not blobs.former):
        return result
    moves = []
    if remembered:
        moves.append(Move("memory", write_memory(store, memory).digest, store.resolve_alias(name, "memory")))
        if moves[0].expect != memory.digest:
            raise Moved(f"The memory of {name} was moved.")
    new = _know_again(waiting, files)
    if new != state:
        moves.append(Move(maintenance_state.ALIAS, _write_state(store, new), state_digest))
    if monitor is not None and watching is not None:
        seen = _watch_again(watching, files)
        if seen != monitor:
            moves.append(Move(monitor_state.ALIAS, _write_monitor(store, seen), monitor_digest))
    former = {*blobs.former, *(move.expect for move in moves if move.expect)}
    told = RowsDeleted(match.column, rows, versions, replaced, tuple(sorted(former)))
    store.commit_moves(name, moves, [event(name, EventKind.ROWS_DELETED, told)])
    _remove_blobs(store, former)
    put_in_place(files)
    return result


def _finish_former(store: Store, name: str) -> None:
    """Blobs that an earlier call was about to remove when it was killed."""
    told = [e.data for e in store.read_events(name) if isinstance(e.data, RowsDeleted)]
    _remove_blobs(store, {digest for data in told for digest in data.former})


def _count_files(files: Iterable[LogFile]) -> tuple[int, int]:
    held = list(files)
    return sum(f.rows for f in held if not f.is_label), sum(f.rows for f in held if f.is_label)


def _search_former(store: Store, cards: Iterable[VersionCard], blobs: BlobRewriter) -> set[int]:
    """Blocks of memories of former times that held the rows; their blobs are among those that go."""
    touched: set[int] = set()
    found = dataclasses.replace(blobs, dry_run=True)  # such a memory never changes, and so nothing takes their place
    for digest in dict.fromkeys(card.data.get("memory", "") for card in cards):
        try:
            touched |= rewrite_memory(read_memory_blob(store, digest), found)[2]
        except EvermodelError:  # gc removed it, and its rows
            continue
    return touched


def _may_know(store: Store, card: VersionCard, touched: set[int]) -> bool:
    """Whether a version came with the first block that held such rows, or after it."""
    digest = card.data.get("memory", "")
    try:
        newest = read_memory_blob(store, digest).next_number if digest else 0
    except EvermodelError:
        return bool(touched)  # what it knew is no longer kept
    return bool(touched) and min(touched) <= newest


def _keeps_golden(store: Store, card: VersionCard, contract: Contract, removed: list[pl.DataFrame]) -> bool:
    """Whether one of the rows is among those that the version answers to be checked."""
    if card.removed or GOLDEN[0] not in card.files:
        return False
    golden = pl.read_parquet(store.version_folder(card.name, card.version) / GOLDEN[0])
    names = [name for name in contract.names if name in golden.columns]
    for frame in removed:
        if names and set(names) <= set(frame.columns):
            rows = frame.select(pl.col(n).cast(golden.schema[n], strict=False) for n in names)
            if golden.join(rows, on=names, how="semi", nulls_equal=True).height:
                return True
    return False


def _know_again(state: MaintenanceState, files: Iterable[LogFile]) -> MaintenanceState:
    """Files of the log that were delivered are so without the rows too: they are not taken in again."""
    made = {file.former: file.digest for file in files if file.digest}
    more: list[Delivery] = []
    for delivery in state.deliveries:
        more.append(delivery)
        if delivery.digest in made:
            more.append(dataclasses.replace(delivery, digest=made[delivery.digest]))
    return dataclasses.replace(state, deliveries=tuple(more))


def _watch_again(state: MonitorState, files: Iterable[LogFile]) -> MonitorState:
    more = {}
    for file in files:
        before, after = (f"labels:{d}" if file.is_label else d for d in (file.former, file.digest))
        if file.digest and before in state.batches:
            more[after] = state.batches[before]
    return dataclasses.replace(state, batches={**state.batches, **more})


def _write_state(store: Store, state: MaintenanceState) -> str:
    return maintenance_state.write_maintenance_state(store, state)


def _write_monitor(store: Store, state: MonitorState) -> str:
    staged = store.staging_folder() / "monitor.json.gz"
    staged.write_bytes(monitor_state.to_bytes(state))
    return store.put_blob(staged)


def _remove_unreferenced(store: Store, match: RowMatch, grace: float, dry_run: bool) -> int:
    """Removes files that nothing points at and that hold such rows; how many were left, for they are too young."""
    stored, left = list(store.upkeep.list_stored()), 0
    references = find_references(store.upkeep.rows(), store.get_blob).digests
    for found in stored:
        if found.kind != "blob" or found.key in references or not _holds_rows(store, found.key, match):
            continue
        if dry_run or time.time() - found.written < grace:
            left += 1
        else:
            _remove_blobs(store, {found.key})
    return left


def _holds_rows(store: Store, digest: str, match: RowMatch) -> bool:
    try:
        file = store.get_blob(digest)
        with file.open("rb") as opened:
            if opened.read(len(PARQUET)) != PARQUET:
                return False
        frame = pl.read_parquet(file, glob=False)
    except (EvermodelError, OSError, pl.exceptions.PolarsError):  # it went meanwhile, or is damaged
        return False
    return bool((match.find(frame) | match.find_watched(frame)).any())


def _remove_blobs(store: Store, digests: set[str]) -> None:
    """Removes blobs and their second copies, but for those that another model needs."""
    needed = {needed.digest for needed in find_references(store.upkeep.rows(), store.get_blob).required}
    gone = digests - needed
    for digest in gone:
        store.delete_blob(digest)
    for copy in store.upkeep.copies():
        for stored in copy.list_stored():
            if stored.key in gone:
                copy.remove(stored)
