"""What every check is handed: the store, its rows at one moment, what they need, and what the user asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evermodel.core.errors import Damaged, NotDelivered
from evermodel.core.files import digest_file
from evermodel.core.store import Store
from evermodel.core.upkeep import Needed, Rows
from evermodel.loop._care.needed import Pointed, pointed


@dataclass(frozen=True)
class Asked:
    """``backup``: a folder with files by their hash to take whole ones from."""

    name: str | None = None
    network: bool = False
    prometheus: str | None = None
    grace: float = 86_400.0
    backup: Path | None = None


@dataclass(frozen=True)
class Patient:
    store: Store
    rows: Rows
    pointed: Pointed
    asked: Asked
    broken: set[str] = field(default_factory=set)  # digests found damaged by an earlier check

    def models(self) -> list[str]:
        """The models that were asked for."""
        names = sorted({r["name"] for r in self.rows["aliases"]} | {r["name"] for r in self.rows["versions"]})
        return [n for n in names if self.asked.name in (None, n)]

    def cards(self, name: str) -> dict[str, Mapping[str, Any]]:
        """version -> card."""
        return {f"v{r['number']}": json.loads(r["card"]) for r in self.rows["versions"] if r["name"] == name}

    def aliases(self, name: str) -> dict[str, str]:
        return {r["alias"]: r["target"] for r in self.rows["aliases"] if r["name"] == name}

    def needed(self) -> list[Needed]:
        """Files that must be there for the models asked for."""
        if self.asked.name is None:
            return list(self.pointed.sure)
        ours = self.asked.name
        return [n for n in self.pointed.sure if (n.where and n.where[0] == ours) or f" of {ours}" in n.why]


def examine(store: Store, asked: Asked) -> Patient:
    rows = store.care.rows()
    return Patient(store, rows, pointed(rows, store.blob), asked)


@contextmanager
def whole_copy(patient: Patient, digest: str) -> Iterator[tuple[Path, str] | None]:
    """A whole file with that hash and where it is from: elsewhere in the store, a second copy, the backup; or None."""
    for other in patient.pointed.sure:
        if other.digest == digest:
            at = _found(patient.store, other)
            if at is not None and digest_file(at) == digest:
                yield at, f"the same file of {other.why}"
                return
    staged = patient.store.stage() / "whole"
    for copy in patient.store.care.copies():
        try:
            copy.fetch(digest, staged)
        except (Damaged, NotDelivered):
            continue
        yield staged, copy.shown
        return
    if patient.asked.backup is not None:
        at = patient.asked.backup / "files" / digest[:2] / digest
        if at.is_file() and digest_file(at) == digest:
            yield at, "the backup"
            return
    yield None


def _found(store: Store, needed: Needed) -> Path | None:
    try:
        return store.care.find(needed.digest, needed.where)
    except (OSError, NotDelivered):
        return None
