"""What maintenance remembers of a model: deliveries, rows that wait, compute spent, the champion on probation.

One blob, moved by compare-and-swap together with what a job did: so a job that is done twice takes effect once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.promotion_objection import PromotionObjection
from evermodel.core.records.update_mode import UnrecoveredLoss, UpdateMode
from evermodel.core.store import Store

ALIAS = "maintenance"
SHRUNK = 0.5  # a gain below that share of the first one
MOST_DELIVERIES = 500  # that are remembered, the newest


@dataclass(frozen=True)
class DeliveredRows:
    """Rows as they were delivered, as a blob."""

    blob: str
    rows: int
    at: float  # Unix seconds when they came
    late: bool = False  # their labels came later than the rows


@dataclass(frozen=True)
class Delivery:
    """One file, or one state of a file or query, and what became of it."""

    source: str
    what: str  # "rows" | "labels" | "predictions"
    digest: str
    at: float
    rows: int = 0
    refused: str = ""  # why; it is read again when it changes
    repeated: int = 0  # rows of it that had come before
    watched: bool = False


@dataclass(frozen=True)
class Probation:
    """A new champion compared with the former one on the same newly labelled rows.

    The tuples hold the log wealth of bets against the two being equal, one bet a stake
    (core/stats/paired_e_process.py).
    """

    version: str
    former: str
    until: float  # Unix seconds
    block: int = 0  # the first block of remembered rows that it learnt from
    rows: int = 0  # compared so far
    worse: tuple[float, ...] = ()  # that its loss is larger
    better: tuple[float, ...] = ()  # that its loss is smaller
    errs: tuple[float, ...] = ()  # that it predicts the wrong class more often
    ranks: tuple[float, ...] = ()  # that it ranks ones above zeros worse


@dataclass(frozen=True)
class PendingApproval:
    """A challenger that the judge would promote and that waits for a person."""

    version: str
    champion: str  # it was judged against
    since: float  # Unix seconds
    reasons: tuple[str, ...]
    objections: tuple[PromotionObjection, ...]


@dataclass(frozen=True)
class MaintenanceState:
    """All that maintenance remembers of a model. Moments are Unix seconds, 0 for never."""

    deliveries: tuple[Delivery, ...] = ()
    known: str = ""  # blob of the hashes of rows that came, where rows can be told apart
    ready: tuple[DeliveredRows, ...] = ()  # labelled, not yet learnt from
    waiting: tuple[DeliveredRows, ...] = ()  # not labelled yet
    unmatched_labels: tuple[DeliveredRows, ...] = ()  # labels whose row has not come
    spent: Mapping[str, float] = field(default_factory=dict)  # "2026-11" -> compute seconds
    rates: Mapping[UpdateMode, float] = field(default_factory=dict)  # compute seconds a row, of the last update
    updated: float = 0.0  # when an update was last made
    full: float = 0.0  # when a full training was last made
    full_rows: int = 0  # rows known then
    gains: tuple[float, ...] = ()  # of full trainings over their champions, in points, oldest first
    probation: Probation | None = None
    pending: PendingApproval | None = None
    answered: Mapping[str, UpdateMode] = field(default_factory=dict)  # alarm -> heaviest mode that answered it
    starved: bool = False  # the last update found too few labelled rows
    judged: tuple[float, float] = (0.0, 0.0)  # score of the champion when promoted, and on the newest labelled rows
    unrecovered_loss: UnrecoveredLoss | None = None

    @property
    def rows_ready(self) -> int:
        return sum(part.rows for part in self.ready)

    def with_spent(self, month: str, seconds: float) -> MaintenanceState:
        """With compute seconds added to a month."""
        return dataclasses.replace(self, spent={**self.spent, month: self.spent.get(month, 0.0) + seconds})


MAINTENANCE_STATE = RecordKind("maintenance state", MaintenanceState)


def read_maintenance_state(store: Store, name: str) -> tuple[MaintenanceState, str | None]:
    """What is remembered, and the digest of its blob (None: nothing yet). Raises Damaged."""
    digest = store.resolve_alias(name, ALIAS)
    if digest is None:
        return MaintenanceState(), None
    text = gzip.decompress(store.get_blob(digest).read_bytes())
    return decode(MAINTENANCE_STATE, text, name), digest


def write_maintenance_state(store: Store, state: MaintenanceState) -> str:
    """Stores it as a blob; it counts once the alias is moved to it."""
    trimmed = dataclasses.replace(state, deliveries=state.deliveries[-MOST_DELIVERIES:])
    staged = store.staging_folder() / "maintenance.json.gz"
    staged.write_bytes(gzip.compress(encode(MAINTENANCE_STATE, trimmed).encode(), mtime=0))
    return store.put_blob(staged)


def store_delivered_rows(store: Store, frame: pl.DataFrame, at: float, *, late: bool = False) -> DeliveredRows:
    staged = store.staging_folder() / "delivered.parquet"
    frame.write_parquet(staged)
    return DeliveredRows(store.put_blob(staged), frame.height, at, late)


def read_delivered_rows(store: Store, parts: tuple[DeliveredRows, ...]) -> pl.DataFrame:
    """The rows of several deliveries, oldest first."""
    return pl.concat([pl.read_parquet(store.get_blob(part.blob)) for part in parts], how="diagonal_relaxed")


def list_maintenance_blobs(store: Store, name: str) -> set[str]:
    """All blobs that maintenance of a model points at: what may not be collected."""
    state, digest = read_maintenance_state(store, name)
    parts = (*state.ready, *state.waiting, *state.unmatched_labels)
    blobs = (digest, store.resolve_alias(name, "policy"), state.known, *(part.blob for part in parts))
    return {blob for blob in blobs if blob}


def gains_shrink(gains: tuple[float, ...]) -> bool:
    """Whether full trainings gain less and less: retraining alone no longer helps, other hyperparameters may."""
    return len(gains) >= 3 and max(gains[-2:]) < SHRUNK * max(gains[0], 1e-9)


def month_of(now: float) -> str:
    """The month of Unix seconds, in UTC: "2026-11"."""
    return dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m")
