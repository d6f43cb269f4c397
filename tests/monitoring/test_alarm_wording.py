"""What alarms say: each cause has a sentence, each alarm a command that exists."""

from __future__ import annotations

import dataclasses
import gzip

import pytest

from evermodel.cli.app import app
from evermodel.core.errors import BadSetting, Damaged
from evermodel.core.records.monitoring import Alarm, AlarmCause, AlarmData, AlarmKind, AlarmLink, MonitorStatus
from evermodel.monitoring.alarms.alarm_wording import build_notices, describe_alarm, describe_seconds, next_command
from evermodel.monitoring.monitor_state import MonitorState, from_bytes, to_bytes

DATA = AlarmData(0.5, 0.1, 0.3, ("b", "c"), 400, (10, 20), 90_000.0, 3_600.0, 12)


def alarm(cause, kind=AlarmKind.DRIFT, **more):
    return Alarm(kind, "age", "warning", "2026-01-01", 1e6, cause, DATA, **more)


@pytest.mark.parametrize("cause", AlarmCause)
def test_every_cause_has_a_sentence_even_without_numbers(cause):
    for found in (alarm(cause), dataclasses.replace(alarm(cause), data=AlarmData())):
        text = describe_alarm(found)
        assert len(text) > 20
        assert "{" not in text
        assert "None of" not in text


def test_numbers_columns_and_their_link_are_named():
    text = describe_alarm(alarm(AlarmCause.WRONG_ANSWERS_ROSE, AlarmKind.QUALITY))
    assert text == (
        "wrong answers rose to 50.0% of the newest labelled rows, from 10.0%; these inputs changed as well: b, c"
    )
    merged = dataclasses.replace(
        alarm(AlarmCause.VALUES_MISSING, members=("missing:age", "drift:age", "drift:b")),
        data=dataclasses.replace(DATA, link=AlarmLink.SAME_ROWS),
    )
    assert describe_alarm(merged).endswith("; also b (from the same rows on, so probably one batch or source)")


@pytest.mark.parametrize("kind", AlarmKind)
def test_the_next_command_exists(kind):
    for cause in AlarmCause:
        words = next_command(alarm(cause, kind), "churn", "v2").split()
        assert words[0] == "evermodel"
        assert words[1] in app.commands


def test_closed_alarms_are_no_notices():
    both = (alarm(AlarmCause.VALUES_SHIFTED), alarm(AlarmCause.VALUES_MISSING, closed="2026-02-01"))
    notices = build_notices(MonitorStatus("churn", "v1", "binary", "", alarms=both))
    assert [n.alarm for n in notices] == [both[0]]


def test_an_alarm_survives_the_stored_state():
    kept = alarm(AlarmCause.VALUES_SHIFTED, members=("drift:age",))
    kept = dataclasses.replace(kept, data=dataclasses.replace(DATA, link=AlarmLink.RELATED_COLUMNS))
    assert from_bytes(to_bytes(MonitorState("churn", "binary", alarms=(kept,)))).alarms == (kept,)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:40],
        lambda raw: b"",
        lambda raw: b"no archive",
        lambda raw: gzip.compress(b"[]"),
        lambda raw: gzip.compress(b'{"schema": 1}'),
        lambda raw: gzip.compress(gzip.decompress(raw).replace(b'"kind": "drift"', b'"kind": "mood"')),
    ],
)
def test_a_damaged_state_is_one_clear_error(spoil):
    raw = to_bytes(MonitorState("churn", "binary", alarms=(alarm(AlarmCause.VALUES_SHIFTED),)))
    with pytest.raises(Damaged):
        from_bytes(spoil(raw))


def test_a_state_of_a_newer_release_is_refused_by_name():
    raw = gzip.decompress(to_bytes(MonitorState("churn", "binary"))).replace(b'"schema": 1', b'"schema": 99')
    with pytest.raises(BadSetting, match="newer release"):
        from_bytes(gzip.compress(raw))


def test_a_duration_is_told_in_its_largest_unit():
    assert [describe_seconds(s) for s in (50, 600, 9_000, 400_000)] == [
        "50 seconds",
        "10 minutes",
        "2 hours",
        "5 days",
    ]
