"""Throw away what nothing points at: orphans always, old versions when asked. What is pointed at is never touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.core.store_upkeep import Rows, Stored
from evermodel.registry.lookup import now, open_store
from evermodel.registry.promotion import before
from evermodel.registry.results import Result
from evermodel.registry.upkeep.needed_files import FileReferences, find_references, read_cards

DAY = 86_400.0


@dataclass(frozen=True)
class GcResult(Result):
    """What went, or would go; ``bytes`` counts a file once a place."""

    versions: tuple[str, ...]
    blobs: int
    folders: int
    left_over: int
    in_copies: int
    bytes: int
    dry_run: bool

    def lines(self) -> list[str]:
        what = "would remove" if self.dry_run else "removed"
        head = (
            f"{what} {len(self.versions)} versions' files, {self.blobs} blobs, {self.folders} folders without a row, "
        )
        return [
            head + f"{self.left_over} left over, {self.in_copies} in copies: {self.bytes / 1e6:,.1f} MB",
            *(f"  {v}: its card is kept" for v in self.versions),
        ]


def gc(
    *,
    keep_versions: int | None = None,
    older_than: float | None = None,
    grace: float = DAY,
    dry_run: bool = False,
    registry: str | Path | None = None,
) -> GcResult:
    """Remove files that nothing points at and that are older than ``grace`` seconds; with a limit, old versions' files.

    Of versions beyond the newest ``keep_versions`` and older than ``older_than`` seconds the files go, the card stays.
    Never: what a name, a policy, a monitor, a memory or the last decision mentions, its parents, and the version that
    a rollback would put back. Work of others that is younger than ``grace`` is left alone. Raises BadSetting.

        $ evermodel gc --keep-versions 5 --older-than 90d --dry-run
    """
    if keep_versions is not None and keep_versions < 1:
        raise BadSetting(f"keep_versions must be at least 1. Got {keep_versions}.")
    if grace < 0 or (older_than is not None and older_than < 0):
        raise BadSetting("Times must not be negative.")
    store, moment = open_store(registry), time.time()
    stored = list(store.upkeep.list_stored())  # listed first: what is pointed at by then is in the rows read next
    rows = store.upkeep.rows()
    found = find_references(rows, store.get_blob)
    dropped = tuple(_old(store, rows, found, keep_versions, older_than, moment))
    sizes = {s.key: s.size for s in stored if s.kind == "version"}
    if dropped and not dry_run:
        for name, version in dropped:
            store.upkeep.drop_files(name, version, now())
        rows = store.upkeep.rows()
        found = find_references(rows, store.get_blob)
    gone = [s for s in stored if garbage(s, rows, found) and s.written <= moment - grace]
    copies = [
        (c, s)
        for c in store.upkeep.copies()
        for s in c.list_stored()
        if s.written <= moment - grace and _is_idle_copy(c, s, rows, found)
    ]
    if not dry_run:
        for s in gone:
            store.upkeep.remove(s)
        for copy, s in copies:
            copy.remove(s)
    count = {kind: sum(s.kind == kind for s in gone) for kind in ("blob", "version", "left over")}
    names = tuple(f"{n} {v}" for n, v in dropped)
    size = (
        sum(s.size for s in gone) + sum(s.size for _, s in copies) + sum(sizes.get(f"{n}/{v}", 0) for n, v in dropped)
    )
    return GcResult(names, count["blob"], count["version"], count["left over"], len(copies), size, dry_run)


def garbage(stored: Stored, rows: Rows, found: FileReferences) -> bool:
    """Whether nothing points at it."""
    if stored.kind == "version":
        name, _, version = stored.key.rpartition("/")
        return not any(r["name"] == name and f"v{r['number']}" == version for r in rows["versions"])
    return _nowhere(stored, found)


def _nowhere(stored: Stored, found: FileReferences) -> bool:
    return stored.kind == "left over" or stored.key not in found.digests


def _is_idle_copy(copy: Any, stored: Stored, rows: Rows, found: FileReferences) -> bool:
    """Whether a second copy is of no file that is kept there. Mentions count only where all files are kept."""
    if all(copy.selects(needed, rows) for needed in found.required):
        return _nowhere(stored, found)
    selected = {needed.digest for needed in found.required if copy.selects(needed, rows)}
    return stored.kind == "left over" or stored.key not in selected


def _old(
    store: Store, rows: Rows, found: FileReferences, keep: int | None, older: float | None, moment: float
) -> Iterator[tuple[str, str]]:
    if keep is None and older is None:
        return
    import datetime as dt

    cards: dict[str, list[VersionCard]] = {}
    for card in sorted(read_cards(rows), key=lambda c: (c.name, int(c.version[1:]))):
        cards.setdefault(card.name, []).append(card)
    for name, all_of in cards.items():
        kept = set(found.versions.get(name, ())) | {c.version for c in all_of[-(keep or 1) :]}
        kept |= {p for c in all_of if c.version in kept for p in c.parents} | before(store.read_events(name))
        for card in all_of:
            age = moment - dt.datetime.fromisoformat(card.created).timestamp() if card.created else 0.0
            if card.version not in kept and card.files and (older is None or age >= older):
                yield name, card.version
