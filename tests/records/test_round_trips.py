"""Every kind of stored record comes back as it was written, whatever its fields hold."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evermodel.core.records.adoption_record import AdoptionRecord
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.event import (
    Adopted,
    AlarmClosed,
    ChampionMoved,
    Decided,
    DeliveryRefused,
    Event,
    EventKind,
    Notified,
    PolicyChanged,
    RowsDeleted,
    decode_event,
    encode_event,
)
from evermodel.core.records.job import JobOutcome, JobReason
from evermodel.core.records.monitoring import Alarm
from evermodel.core.records.update_record import UpdateRecord
from evermodel.core.records.version_card import VERSION_CARD, VersionCard
from evermodel.maintenance.maintenance_state import MAINTENANCE_STATE, MaintenanceState
from evermodel.registry.predictions.staged_release import STAGED_RELEASE, StagedRelease
from evermodel.registry.row_memory import ROW_MEMORY, RowMemory

NUMBERS = st.floats(allow_nan=False)  # infinities come back; NaN equals nothing, and has a test with the codec
SETTINGS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.booleans()
RECORDS: dict[type, RecordKind[Any]] = {
    VersionCard: VERSION_CARD,
    MaintenanceState: MAINTENANCE_STATE,
    RowMemory: ROW_MEMORY,
    StagedRelease: STAGED_RELEASE,
    **{
        kind: RecordKind(kind.__name__, kind)
        for kind in (AdoptionRecord, UpdateRecord, JobOutcome, JobReason, Alarm, Decided)
    },
}
DATA = {
    EventKind.ADOPTED: Adopted,
    EventKind.ADOPTION_PENDING: Adopted,
    EventKind.PROMOTED: Decided,
    EventKind.PROMOTED_BY_HAND: ChampionMoved,
    EventKind.RELEASED: ChampionMoved,
    EventKind.APPROVED: ChampionMoved,
    EventKind.HELD: Decided,
    EventKind.REJECTED: Decided,
    EventKind.QUARANTINED: Decided,
    EventKind.AWAITING_APPROVAL: Decided,
    EventKind.DECLINED: ChampionMoved,
    EventKind.ROLLED_BACK: ChampionMoved,
    EventKind.PROBATION_PASSED: ChampionMoved,
    EventKind.POLICY_CHANGED: PolicyChanged,
    EventKind.DELIVERY_REFUSED: DeliveryRefused,
    EventKind.ALARM: Alarm,
    EventKind.ALARM_CLOSED: AlarmClosed,
    EventKind.NOTIFIED: Notified,
    EventKind.NOT_NOTIFIED: Notified,
    EventKind.ROWS_DELETED: RowsDeleted,
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return records_of(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        if set(arguments) & {int, str} and float in arguments:
            return SETTINGS if bool in arguments else SETTINGS.filter(lambda value: not isinstance(value, bool))
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is Mapping:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2)
    simple = {int: st.integers(-(2**53), 2**53), float: NUMBERS, str: st.text(max_size=8), bool: st.booleans()}
    return {**simple, type(None): st.none(), Any: SETTINGS}[kind]


def records_of(kind: type) -> st.SearchStrategy[Any]:
    """Records of a class, every field filled in."""
    hints = typing.get_type_hints(kind)
    return st.deferred(lambda: st.builds(kind, **{f.name: values_of(hints[f.name]) for f in dataclasses.fields(kind)}))


SLOW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@SLOW
@given(data=st.data())
def test_a_record_comes_back_as_it_was(kind, data):
    record = data.draw(records_of(kind))
    assert decode(RECORDS[kind], encode(RECORDS[kind], record)) == record


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.name)
@SLOW
@given(data=st.data())
def test_an_event_comes_back_as_it_was(kind, data):
    event = Event("m", kind, "now", data.draw(records_of(DATA[kind])), 3)
    assert decode_event("m", kind.value, "now", encode_event(event), 3) == event


def test_an_event_with_the_data_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="Adopted"):
        encode_event(Event("m", EventKind.ADOPTED, "now", AlarmClosed("drift", "age")))
