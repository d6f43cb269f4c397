"""What maintenance remembers of a model: deliveries, rows that wait, compute spent, what is on probation.

One blob, moved by compare-and-swap together with what a job did: so a job that is done twice takes effect once.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evermodel.core.store import Store

ALIAS = "maintenance"
SHRUNK = 0.5  # a gain below that share of the first one
KEPT = 500  # deliveries and reports that are kept


@dataclass(frozen=True)
class Rows:
    """Rows as they were delivered, as a blob."""

    blob: str
    rows: int
    at: float  # Unix seconds when they came
    late: bool = False  # their labels came later than they


@dataclass(frozen=True)
class Delivery:
    """One file, or one state of a file or query, and what became of it."""

    source: str
    what: str  # "rows" | "labels" | "predictions"
    digest: str
    at: float
    rows: int = 0
    refused: str = ""  # why; it is looked at again when it changes
    repeated: int = 0  # rows of it that had come before
    watched: bool = False


@dataclass(frozen=True)
class Probation:
    """A new champion beside the former one on the same newly labelled rows. ``capital``: log wealth of each bet."""

    version: str
    former: str
    until: float
    block: int = 0  # the first block of rows that it learnt from
    rows: int = 0
    worse: tuple[float, ...] = ()  # of bets that the new one is worse
    better: tuple[float, ...] = ()
    errs: tuple[float, ...] = ()  # of bets that it names the wrong class more often
    ranks: tuple[float, ...] = ()  # of bets that it ranks ones above zeros worse


@dataclass(frozen=True)
class Owed:
    """A loss that an alarm told of and an update answered, until half of it is won back."""

    before: float  # score of the champion when promoted
    after: float  # and when the alarm was answered
    way: str  # the heaviest way that was tried
    known: int  # rows known before it
    tried: int = 0  # rows known when a full training last tried
    short: bool = False  # rows labelled since say that less than half was won back

    def won(self, score: float) -> float:
        """The share of the loss that a later score wins back; of scores of any direction."""
        return (score - self.after) / (self.before - self.after) if self.before != self.after else 1.0

    def again(self, known: int) -> bool:
        """Whether rows have come that tell a full training more: twice as many as when it last tried."""
        return not self.tried or known - self.known >= 2 * (self.tried - self.known)


@dataclass(frozen=True)
class Remembered:
    """All of it. ``spent``: "2026-11" -> compute seconds. ``rates``: way -> compute seconds a row, of the last time."""

    deliveries: tuple[Delivery, ...] = ()
    known: str = ""  # blob of the hashes of rows that came, where rows can be told apart
    ready: tuple[Rows, ...] = ()  # labelled, not yet learnt from
    waiting: tuple[Rows, ...] = ()  # not labelled yet
    strangers: tuple[Rows, ...] = ()  # labels whose row has not come
    spent: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    updated: float = 0.0  # when an update was last made
    full: float = 0.0  # when a full training was last made
    full_rows: int = 0  # rows known then
    gains: tuple[float, ...] = ()  # of full trainings over their champions, in points, oldest first
    probation: Probation | None = None
    pending: Mapping[str, Any] | None = None  # a challenger that waits for a person
    answered: Mapping[str, str] = field(default_factory=dict)  # alarm -> the way it was last answered by
    starved: bool = False  # the last update found too few labelled rows
    judged: tuple[float, float] = (0.0, 0.0)  # score of the champion when promoted, and of late
    owed: Owed | None = None

    @property
    def rows_ready(self) -> int:
        return sum(r.rows for r in self.ready)

    def heavier(self, month: str, seconds: float) -> Remembered:
        """With compute seconds added to a month."""
        return dataclasses.replace(self, spent={**self.spent, month: self.spent.get(month, 0.0) + seconds})


def read(store: Store, name: str) -> tuple[Remembered, str | None]:
    """What is remembered, and the digest of its blob (None: nothing yet)."""
    digest = store.at(name, ALIAS)
    if digest is None:
        return Remembered(), None
    return _from_json(json.loads(gzip.decompress(store.blob(digest).read_bytes()))), digest


def keep(store: Store, remembered: Remembered) -> str:
    """Stores it as a blob; it counts once the name is moved to it."""
    trimmed = dataclasses.replace(remembered, deliveries=remembered.deliveries[-KEPT:])
    staged = store.stage() / "maintenance.json.gz"
    text = json.dumps(dataclasses.asdict(trimmed), separators=(",", ":"))
    staged.write_bytes(gzip.compress(text.encode(), mtime=0))
    return store.keep(staged)


def put_rows(store: Store, frame: pl.DataFrame, at: float, *, late: bool = False) -> Rows:
    staged = store.stage() / "delivered.parquet"
    frame.write_parquet(staged)
    return Rows(store.keep(staged), frame.height, at, late)


def get_rows(store: Store, parts: tuple[Rows, ...]) -> pl.DataFrame:
    """The rows of several deliveries, oldest first."""
    return pl.concat([pl.read_parquet(store.blob(p.blob)) for p in parts], how="diagonal_relaxed")


def blobs(store: Store, name: str) -> set[str]:
    """All blobs that maintenance of a model points at: what may not be collected."""
    remembered, digest = read(store, name)
    parts = (*remembered.ready, *remembered.waiting, *remembered.strangers)
    named = (digest, store.at(name, "policy"), remembered.known, *(p.blob for p in parts))
    return {b for b in named if b}


def shrinks(gains: tuple[float, ...]) -> bool:
    """Whether full trainings win less and less: retraining alone no longer helps, other hyperparameters may."""
    return len(gains) >= 3 and max(gains[-2:]) < SHRUNK * max(gains[0], 1e-9)


def _from_json(raw: dict[str, Any]) -> Remembered:
    raw["deliveries"] = tuple(Delivery(**d) for d in raw["deliveries"])
    for key in ("ready", "waiting", "strangers"):
        raw[key] = tuple(Rows(**r) for r in raw[key])
    if raw["probation"] is not None:
        p = raw["probation"]
        raw["probation"] = Probation(**{**p, **{k: tuple(p.get(k, ())) for k in ("worse", "better", "errs", "ranks")}})
    raw["gains"], raw["judged"] = tuple(raw["gains"]), (raw["judged"][0], raw["judged"][1])
    raw["owed"] = Owed(**raw["owed"]) if raw.get("owed") else None
    return Remembered(**raw)
