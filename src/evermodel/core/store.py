"""Where versions, names and events are kept. Versions never change; names move."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from evermodel.core.plugins import Confidence, FunctionKind
from evermodel.core.records.event import Event
from evermodel.core.records.job import Done, Job, JobOutcome
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store_upkeep import Upkeep


@dataclass(frozen=True)
class Move:
    """A name moves: ``alias`` from ``expect`` (None: it is new) to ``to``."""

    alias: str
    to: str
    expect: str | None


class Store(Protocol):
    """Versions, names and events of all models in one registry.

    ``add_version`` takes over a staged folder as a new immutable version; ``commit_moves`` moves names and appends
    events in one
    transaction, and raises Moved, changing nothing, where a name is not where the caller expects it.
    """

    registry: Path
    upkeep: Upkeep  # what gc, backup and the doctor ask

    def staging_folder(self) -> Path: ...  # an empty folder of our own, on the store's disk
    def put_blob(self, staged: Path, /) -> str: ...  # a staged file becomes an immutable blob, named by its SHA-256
    def get_blob(self, digest: str, /) -> Path: ...  # its file, hash checked; raises Damaged
    def delete_blob(self, digest: str, /) -> None: ...  # a blob that nothing points at any more; no error if it is gone
    def add_version(self, staged: Path, card: VersionCard, /) -> VersionCard: ...
    def version_folder(self, name: str, version: str, /) -> Path: ...  # hashes checked; raises Damaged
    def read_card(self, name: str, version: str, /) -> VersionCard: ...
    def list_cards(self, name: str, /) -> list[VersionCard]: ...
    def list_models(self, alias: str = "champion", /) -> list[str]: ...  # those that have this alias
    def resolve_alias(self, name: str, alias: str, /) -> str | None: ...
    def commit_moves(
        self, name: str, moves: Sequence[Move], events: Sequence[Event], /, done: Done | None = None
    ) -> None: ...  # with ``done``, a job ends in the same transaction; raises LeaseLost where it is not held
    def scratch_folder(self, name: str, /) -> Path: ...  # a local folder for a model's unfinished work; may be lost
    def read_events(self, name: str | None = None, /) -> list[Event]: ...
    def add_jobs(self, jobs: Iterable[Job], /) -> int: ...  # those whose key is new
    def list_jobs(self, name: str | None = None, /, *, states: Collection[str] = ()) -> list[Job]: ...
    def lease_job(
        self, owner: str, /, *, at: float, seconds: float, names: Collection[str] | None = None, most: int = 4
    ) -> Job | None: ...
    def renew_lease(self, job: Job, /, *, until: float, progress: str = "") -> None: ...  # raises LeaseLost
    def fail_job(self, job: Job, outcome: JobOutcome, /, *, after: float | None) -> None: ...
    def revive_jobs(self, name: str, /) -> int: ...


class StoreOpener(Protocol):
    """The function of a store plugin: the store at a location, which is made where there is none yet."""

    def __call__(self, location: str, /) -> Store: ...


class StoreModule(Protocol):
    """The module of a store plugin."""

    __name__: str

    def recognize(self, location: str, /) -> Confidence: ...  # a folder's path or a URL; connects to nothing


@runtime_checkable
class RecoversDatabase(Protocol):
    """The module of a store plugin that can make a database anew that cannot be used any more."""

    # Mends its bad rows, or puts it aside and in its place the second copy that the store keeps, or with ``empty`` one
    # without rows. Returns where rows come from. Raises NotFound, having changed nothing, where there is no whole copy.
    def recover_database(self, location: str, /, *, empty: bool) -> str: ...


SETUP_NAME = "store.toml"  # in a registry: where its database and files are
STORES: FunctionKind[StoreOpener, StoreModule] = FunctionKind("stores", StoreModule)
