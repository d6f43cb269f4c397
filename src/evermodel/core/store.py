"""Where versions, names and events are kept. Versions never change; names move."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evermodel.core.job import Done, Job
from evermodel.core.upkeep import Upkeep


@dataclass(frozen=True)
class Card:
    """What is known of a version: where it came from, what it was made with, what it scored."""

    name: str
    version: str  # "v1", "v2", …; "" until it is put
    parents: tuple[str, ...] = ()
    change: str = "adopt"  # the plug that made it
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    framework: str = ""
    created: str = ""  # ISO 8601, UTC
    data: Mapping[str, str] = field(default_factory=dict)  # role ("reference", "new") -> digest
    scores: Mapping[str, Any] = field(default_factory=dict)
    verdict: Mapping[str, Any] = field(default_factory=dict)
    curves: Sequence[Mapping[str, Any]] = ()  # loss and score of each epoch
    packages: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # path inside the version -> SHA-256
    facts: Mapping[str, Any] = field(default_factory=dict)  # everything else the report shows


@dataclass(frozen=True)
class Event:
    """Something that happened; appended once, never changed."""

    name: str
    kind: str  # "adopted", "promoted", "held", …
    at: str  # ISO 8601, UTC
    facts: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0  # its place in the log


@dataclass(frozen=True)
class Move:
    """A name moves: ``alias`` from ``expect`` (None: it is new) to ``to``."""

    alias: str
    to: str
    expect: str | None


class Store(Protocol):
    """Versions, names and events of all models in one home.

    ``put`` takes over a staged folder as a new immutable version; ``point`` moves names and appends events in one
    transaction, and raises Moved, changing nothing, where a name is not where the caller expects it.
    """

    home: Path
    care: Upkeep  # what gc, backup and the doctor ask

    def stage(self) -> Path: ...  # an empty folder of our own, on the store's disk
    def keep(self, staged: Path, /) -> str: ...  # a staged file becomes an immutable blob, named by its SHA-256
    def blob(self, digest: str, /) -> Path: ...  # its file, hash checked; raises Damaged
    def discard(self, digest: str, /) -> None: ...  # a blob that nothing points at any more; no error if it is gone
    def put(self, staged: Path, card: Card, /) -> Card: ...
    def get(self, name: str, version: str, /) -> Path: ...  # hashes checked; raises Damaged
    def card(self, name: str, version: str, /) -> Card: ...
    def cards(self, name: str, /) -> list[Card]: ...
    def models(self, alias: str = "champion", /) -> list[str]: ...  # those that have this alias
    def at(self, name: str, alias: str, /) -> str | None: ...
    def point(
        self, name: str, moves: Sequence[Move], events: Sequence[Event], /, done: Done | None = None
    ) -> None: ...  # with ``done``, a job ends in the same transaction; raises LeaseLost where it is not held
    def scratch(self, name: str, /) -> Path: ...  # a local folder for a model's unfinished work; may be lost
    def log(self, name: str | None = None, /) -> list[Event]: ...
    def add_jobs(self, jobs: Iterable[Job], /) -> int: ...  # those whose key is new
    def jobs(self, name: str | None = None, /, *, states: Collection[str] = ()) -> list[Job]: ...
    def lease(
        self, owner: str, /, *, at: float, seconds: float, names: Collection[str] | None = None, most: int = 4
    ) -> Job | None: ...
    def beat(self, job: Job, /, *, until: float, progress: str = "") -> None: ...  # raises LeaseLost
    def fail(self, job: Job, outcome: Mapping[str, Any], /, *, after: float | None) -> None: ...
    def revive(self, name: str, /) -> int: ...
