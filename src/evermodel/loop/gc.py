"""Throw away what nothing points at: orphans always, old versions when asked. What is pointed at is never touched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting
from evermodel.core.store import Store
from evermodel.core.upkeep import Rows, Stored
from evermodel.loop._care.needed import Pointed, pointed
from evermodel.loop.home import now, open_home
from evermodel.loop.point import before
from evermodel.loop.results import Shown

DAY = 86_400.0


@dataclass(frozen=True)
class Collected(Shown):
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
        return [head + f"{self.left_over} left over, {self.in_copies} in copies: {self.bytes / 1e6:,.1f} MB",
                *(f"  {v}: its card is kept" for v in self.versions)]  # fmt: skip


def gc(
    *, keep_versions: int | None = None, older_than: float | None = None, grace: float = DAY, dry_run: bool = False,
    home: str | Path | None = None,
) -> Collected:  # fmt: skip
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
    store, moment = open_home(home), time.time()
    stored = list(store.care.stored())  # listed first: what is pointed at by then is in the rows read next
    rows = store.care.rows()
    found = pointed(rows, store.blob)
    dropped = tuple(_old(store, rows, found, keep_versions, older_than, moment))
    sizes = {s.key: s.size for s in stored if s.kind == "version"}
    if dropped and not dry_run:
        for name, version in dropped:
            store.care.drop_files(name, version, now())
        rows = store.care.rows()
        found = pointed(rows, store.blob)
    gone = [s for s in stored if garbage(s, rows, found) and s.written <= moment - grace]
    copies = [(c, s) for c in store.care.copies() for s in c.stored()
              if _nowhere(s, found) and s.written <= moment - grace]  # fmt: skip
    if not dry_run:
        for s in gone:
            store.care.remove(s)
        for copy, s in copies:
            copy.remove(s)
    count = {kind: sum(s.kind == kind for s in gone) for kind in ("blob", "version", "left over")}
    names = tuple(f"{n} {v}" for n, v in dropped)
    size = (
        sum(s.size for s in gone) + sum(s.size for _, s in copies) + sum(sizes.get(f"{n}/{v}", 0) for n, v in dropped)
    )
    return Collected(names, count["blob"], count["version"], count["left over"], len(copies), size, dry_run)


def garbage(stored: Stored, rows: Rows, found: Pointed) -> bool:
    """Whether nothing points at it."""
    if stored.kind == "version":
        name, _, version = stored.key.rpartition("/")
        return not any(r["name"] == name and f"v{r['number']}" == version for r in rows["versions"])
    return _nowhere(stored, found)


def _nowhere(stored: Stored, found: Pointed) -> bool:
    return stored.kind == "left over" or stored.key not in found.digests


def _old(
    store: Store, rows: Rows, found: Pointed, keep: int | None, older: float | None, moment: float
) -> Iterator[tuple[str, str]]:
    if keep is None and older is None:
        return
    import datetime as dt

    cards: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows["versions"], key=lambda r: (r["name"], r["number"])):
        cards.setdefault(row["name"], []).append(json.loads(row["card"]))
    for name, all_of in cards.items():
        kept = set(found.versions.get(name, ())) | {c["version"] for c in all_of[-(keep or 1) :]}
        kept |= {p for c in all_of if c["version"] in kept for p in c["parents"]} | before(store.log(name))
        for card in all_of:
            age = moment - dt.datetime.fromisoformat(card["created"]).timestamp() if card["created"] else 0.0
            if card["version"] not in kept and card["files"] and (older is None or age >= older):
                yield name, card["version"]
