"""What happened to a model, when, and what is known of it. Evidence is on the version's card; events refer to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from evermodel.core.errors import Damaged
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.monitoring import Alarm
from evermodel.core.records.promotion_objection import PromotionObjection
from evermodel.core.records.verdict import Comparison, JudgePolicy


class EventKind(StrEnum):
    """The kinds of events; the value is the word that people see."""

    ADOPTED = "adopted"
    ADOPTION_PENDING = "adoption pending"  # adopted without rows; the first update completes it
    PROMOTED = "promoted"  # by an update
    PROMOTED_BY_HAND = "promoted by hand"
    RELEASED = "released"  # promoted after it had answered growing shares of the requests
    APPROVED = "approved"  # promoted by a person who was asked
    HELD = "held"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"  # the new rows were no evidence
    AWAITING_APPROVAL = "awaiting approval"  # the judge would promote, the maintenance policy asks a person
    DECLINED = "declined"  # by a person who was asked
    ROLLED_BACK = "rolled back"
    PROBATION_PASSED = "probation passed"
    POLICY_CHANGED = "policy changed"
    DELIVERY_REFUSED = "delivery refused"
    ALARM = "alarm"
    ALARM_CLOSED = "alarm closed"
    NOTIFIED = "notified"
    NOT_NOTIFIED = "not notified"
    ROWS_DELETED = "rows deleted"  # on request, wherever the registry keeps rows


class Actor(StrEnum):
    """Who moved the champion."""

    UPDATE = "update"
    HAND = "hand"
    APPROVAL = "approval"
    PROBATION = "probation"
    DOCTOR = "doctor"
    RELEASE = "release"


@dataclass(frozen=True)
class Adopted:
    """A model was adopted, with reference rows or without."""

    version: str
    rows: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldEvidence:
    """What the second analysis of a held challenger needs."""

    rows: str  # blob of the rows that judged it
    metric: str  # primary
    margin: float | None = None
    guard: str = ""  # the metric that people look at, where another one is primary
    guard_margin: float | None = None
    policy: JudgePolicy = JudgePolicy.BETTER


@dataclass(frozen=True)
class Decided:
    """A challenger was judged; scores and verdict are on the card of ``version``.

    ``reanalysis`` is set where the version was stored by an earlier update: the comparison that decided now, by the
    metric that people look at.
    """

    version: str
    champion: str  # the version in service when it was judged
    strategy: str = ""
    metric: str = ""
    rows: int = 0  # new rows of the update
    reasons: tuple[str, ...] = ()  # as they were told
    objections: tuple[PromotionObjection, ...] = ()  # why a promotion awaits approval
    skill: float | None = None  # share of the trivial baseline's loss removed on the judged rows
    seconds: float = 0.0  # of the chosen candidate's training
    training_processor_seconds: float = 0.0  # refitting included
    held: HeldEvidence | None = None
    reanalysis: Comparison | None = None
    reanalysis_primary: Comparison | None = None  # the same by the primary metric, where that is another one


@dataclass(frozen=True)
class ChampionMoved:
    """The champion was moved, or kept, by somebody else than an update. ``was``: the other version in question."""

    version: str
    was: str
    by: Actor
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicyChanged:
    """The maintenance policy was changed. ``policy``: all its keys as they are now."""

    changed: tuple[str, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeliveryRefused:
    """Rows were not taken in. ``rows``: their blob, where they are kept."""

    source: str
    reasons: tuple[str, ...] = ()
    rows: str = ""


@dataclass(frozen=True)
class AlarmClosed:
    """An alarm is over."""

    alarm: str
    subject: str


@dataclass(frozen=True)
class Notified:
    """A notice was sent by the notifiers ``by``; ``failed``: notifier -> what went wrong."""

    key: str
    level: str
    what: str
    by: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RowsDeleted:
    """Rows of one value of a column were deleted. The value is not kept: it is what was to be forgotten.

    ``replaced``: blob of evidence -> the one without these rows; "" where nothing is left of it.
    """

    column: str
    rows: Mapping[str, int] = field(default_factory=dict)  # place -> rows that were deleted there
    versions: tuple[str, ...] = ()  # that may have been trained on them or judged by them
    replaced: Mapping[str, str] = field(default_factory=dict)
    former: tuple[str, ...] = ()  # all blobs that held such rows; a run that was killed left some of them


EventData = (
    Adopted | Decided | ChampionMoved | PolicyChanged | DeliveryRefused | Alarm | AlarmClosed | Notified | RowsDeleted
)
JUDGED = (EventKind.PROMOTED, EventKind.HELD, EventKind.REJECTED, EventKind.QUARANTINED, EventKind.AWAITING_APPROVAL)
SERVING = (
    EventKind.ADOPTED,
    EventKind.PROMOTED,
    EventKind.PROMOTED_BY_HAND,
    EventKind.RELEASED,
    EventKind.APPROVED,
    EventKind.ROLLED_BACK,
)  # after these, the version that the event names is in service


@dataclass(frozen=True)
class Event:
    """Something that happened; appended once, never changed."""

    name: str
    kind: EventKind
    at: str  # ISO 8601, UTC
    data: EventData
    number: int = 0  # its place in the log; 0 until it is appended

    @property
    def version(self) -> str:
        """The version that it is about; "" where it is about none."""
        return self.data.version if isinstance(self.data, (Adopted, Decided, ChampionMoved)) else ""


def replace_evidence(log: Iterable[Event], digest: str) -> str:
    """The blob that stands for ``digest`` after rows were deleted on request; "" where nothing is left of it."""
    for event in log:
        if isinstance(event.data, RowsDeleted):
            digest = event.data.replaced.get(digest, digest)
    return digest


_DATA: Mapping[EventKind, RecordKind[Any]] = {
    EventKind.ADOPTED: RecordKind("event", Adopted),
    EventKind.ADOPTION_PENDING: RecordKind("event", Adopted),
    EventKind.PROMOTED: RecordKind("event", Decided),
    EventKind.PROMOTED_BY_HAND: RecordKind("event", ChampionMoved),
    EventKind.RELEASED: RecordKind("event", ChampionMoved),
    EventKind.APPROVED: RecordKind("event", ChampionMoved),
    EventKind.HELD: RecordKind("event", Decided),
    EventKind.REJECTED: RecordKind("event", Decided),
    EventKind.QUARANTINED: RecordKind("event", Decided),
    EventKind.AWAITING_APPROVAL: RecordKind("event", Decided),
    EventKind.DECLINED: RecordKind("event", ChampionMoved),
    EventKind.ROLLED_BACK: RecordKind("event", ChampionMoved),
    EventKind.PROBATION_PASSED: RecordKind("event", ChampionMoved),
    EventKind.POLICY_CHANGED: RecordKind("event", PolicyChanged),
    EventKind.DELIVERY_REFUSED: RecordKind("event", DeliveryRefused),
    EventKind.ALARM: RecordKind("event", Alarm),
    EventKind.ALARM_CLOSED: RecordKind("event", AlarmClosed),
    EventKind.NOTIFIED: RecordKind("event", Notified),
    EventKind.NOT_NOTIFIED: RecordKind("event", Notified),
    EventKind.ROWS_DELETED: RecordKind("event", RowsDeleted),
}


def encode_event(event: Event) -> str:
    """The event's data as JSON text; name, kind and moment are columns of their own."""
    kind = _DATA[event.kind]
    if not isinstance(event.data, kind.type):
        raise TypeError(f"The data of an event {event.kind.value!r} must be {kind.type.__name__}. Got {event.data!r}.")
    return encode(kind, event.data)


def decode_event(name: str, kind: str, at: str, text: str, number: int) -> Event:
    """The event with its data. Raises Damaged where it is of an unknown kind or its data is not what we write."""
    try:
        known = EventKind(kind)
    except ValueError:
        shown = str(kind)[:40]
        raise Damaged(f"Event {number} of {name} is of a kind that this release does not know: {shown!r}.") from None
    return Event(name, known, at, decode(_DATA[known], text, f"{name} (number {number}, {kind})"), number)
