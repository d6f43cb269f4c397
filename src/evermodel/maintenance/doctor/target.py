"""What every check is handed: the store, its rows at one moment, what they need, and what the user asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from evermodel.core.errors import Damaged, NotDelivered
from evermodel.core.files import digest_file
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.core.store_upkeep import Needed, Rows
from evermodel.registry.upkeep.needed_files import FileReferences, find_references, read_cards


@dataclass(frozen=True)
class DoctorOptions:
    """``backup``: a folder with files by their hash to take whole ones from."""

    name: str | None = None
    network: bool = False
    prometheus: str | None = None
    grace: float = 86_400.0
    backup: Path | None = None


@dataclass(frozen=True)
class DoctorTarget:
    store: Store
    rows: Rows
    references: FileReferences
    options: DoctorOptions
    broken: set[str] = field(default_factory=set)  # digests found damaged by an earlier check

    def models(self) -> list[str]:
        """The models that were asked for."""
        names = sorted({r["name"] for r in self.rows["aliases"]} | {r["name"] for r in self.rows["versions"]})
        return [n for n in names if self.options.name in (None, n)]

    def cards(self, name: str) -> dict[str, VersionCard]:
        """version -> card."""
        return {card.version: card for card in read_cards(self.rows) if card.name == name}

    def aliases(self, name: str) -> dict[str, str]:
        return {r["alias"]: r["target"] for r in self.rows["aliases"] if r["name"] == name}

    def list_needed_files(self) -> list[Needed]:
        """Files that must be there of the models asked for."""
        if self.options.name is None:
            return list(self.references.required)
        ours = self.options.name
        return [n for n in self.references.required if (n.where and n.where[0] == ours) or f" of {ours}" in n.why]


def read_target(store: Store, options: DoctorOptions) -> DoctorTarget:
    rows = store.upkeep.rows()
    return DoctorTarget(store, rows, find_references(rows, store.get_blob), options)


@contextmanager
def find_whole_copy(target: DoctorTarget, digest: str) -> Iterator[tuple[Path, str] | None]:
    """A whole file with that hash and where it is from: elsewhere in the store, a second copy, the backup; or None."""
    for other in target.references.required:
        if other.digest == digest:
            at = _found(target.store, other)
            if at is not None and digest_file(at) == digest:
                yield at, f"the same file of {other.why}"
                return
    staged = target.store.staging_folder() / "whole"
    for copy in target.store.upkeep.copies():
        try:
            copy.fetch(digest, staged)
        except (Damaged, NotDelivered):
            continue
        yield staged, copy.shown
        return
    if target.options.backup is not None:
        at = target.options.backup / "files" / digest[:2] / digest
        if at.is_file() and digest_file(at) == digest:
            yield at, "the backup"
            return
    yield None


def _found(store: Store, needed: Needed) -> Path | None:
    try:
        return store.upkeep.find(needed.digest, needed.where)
    except (OSError, NotDelivered):
        return None
