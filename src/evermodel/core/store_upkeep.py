"""What a store offers for its own care: garbage collection, backup, the doctor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # table -> its rows
Where = tuple[str, str, str] | None  # a version's file: (name, version, path); None: a blob


@dataclass(frozen=True)
class Stored:
    """Something that takes up space: a blob, a version's folder, or what a dead process left over."""

    kind: str  # "blob", "version", "left over"
    key: str  # SHA-256, "NAME/vN", or a file's name
    at: Path | str
    size: int
    written: float  # Unix seconds


@dataclass(frozen=True)
class Needed:
    """A file that rows of the database name: by its SHA-256, and where it belongs."""

    digest: str
    where: Where
    why: str  # "churn v3", "memory of churn"


class Upkeep(Protocol):
    """A store's own care. ``rows`` is one moment of the whole database."""

    def rows(self) -> dict[str, list[dict[str, Any]]]: ...
    def load(self, rows: Rows) -> None: ...  # into an empty database; raises AskedWrongly where it is not
    def complaints(self) -> list[str]: ...  # what the database itself finds wrong with its pages and its rows
    def slack(self) -> tuple[int, int]: ...  # bytes of the database that hold nothing, and of all of it
    def compact(self) -> None: ...  # writes the database anew without them
    def drop_files(self, name: str, version: str, when: str) -> None: ...  # a version's files go, its card stays
    def find(self, digest: str, where: Where) -> Path | None: ...  # the file as it is, not checked
    def mend(self, digest: str, where: Where, whole: Path) -> None: ...  # puts a whole file in its place
    def list_stored(self) -> Iterator[Stored]: ...
    def remove(self, found: Stored) -> None: ...
    def copies(
        self,
    ) -> Sequence[Any]: ...  # put, fetch, has, selects, list_stored, list_faults, remove, size
    def refresh_copies(self) -> None: ...  # copies the database again, where the store keeps a second copy of it
