"""Alarms that a clock or a count alone decides: rows or labels that stopped, windows too full or too empty."""

from __future__ import annotations

import polars as pl
import pytest

import evermodel
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.alarms.certain_alarms import find_silence
from evermodel.monitoring.watch import status
from tests.monitoring.test_watch import stream
from tests.updating.conftest import adopted, booster, rows  # noqa: F401

HOUR = 3600.0


@pytest.fixture
def hours(monkeypatch):
    """Sets what the monitor's clock says."""

    def at(h):
        for module in ("watch", "windows", "alarms.update_alarms"):
            monkeypatch.setattr(f"evermodel.monitoring.{module}.current_seconds", lambda: 1.7e9 + h * HOUR)

    return at


def names(found):
    return {(a.kind, a.subject) for a in found.open} & {("freshness", "rows"), ("labels", "labels"), ("volume", "rows")}


def test_silence_needs_a_rhythm():
    hourly = tuple(HOUR * h for h in range(12))
    assert find_silence(hourly, 12.5 * HOUR) is None
    assert find_silence(hourly, 13.5 * HOUR) == 13 * HOUR
    assert find_silence(hourly[:8], 99 * HOUR) is None, "seven gaps are no rhythm"
    assert find_silence(tuple(2.0 * h for h in range(50)), 99 * HOUR) is None, "files loaded one after another are none"
    nightly = tuple(HOUR * h for h in range(60) if h % 24 > 8)
    assert find_silence(nightly, 71 * HOUR) is None, "a night is usual"


def test_rows_that_stop_are_an_alarm_until_rows_come(adopted, hours):  # noqa: F811
    for h in range(12):
        hours(h)
        evermodel.watch("m", stream(20, h, first=100 * h), registry=adopted)
    assert names(status("m", registry=adopted)) == set()
    hours(20)
    late = status("m", registry=adopted)
    assert names(late) == {("freshness", "rows")}, "labels came with the rows: they are not late on their own"
    assert late.open[0].since == "2023-11-15T11:13:20+00:00"
    again = evermodel.watch("m", stream(20, 50, first=5000), registry=adopted).status
    assert names(again) == set()
    assert [a.kind for a in again.alarms if a.closed] == ["freshness"], "it was open, and that is on record"
    assert again.counters["alarms"] == late.counters["alarms"] == 1


def test_labels_that_stop_while_rows_come_are_an_alarm(adopted, hours):  # noqa: F811
    for h in range(12):
        hours(h)
        evermodel.watch("m", stream(20, h, first=100 * h), registry=adopted)
    for h in range(12, 18):
        hours(h)
        found = evermodel.watch("m", stream(20, h, first=100 * h).drop("y"), registry=adopted).status
    assert names(found) == {("labels", "labels")}
    assert found.counters["alarms"] == 1, "it opens once"
    came = evermodel.watch("m", labels=stream(20, 17, first=1700).select("id", "y"), registry=adopted).status
    assert names(came) == set()


def test_a_day_with_far_fewer_or_more_rows_is_an_alarm(booster, tmp_path):  # noqa: F811
    registry, day = tmp_path / "registry", pl.datetime(2024, 1, 1)

    def dated(n, seed, first):
        step = 86_400 / n
        at = (pl.int_range(n) * step).cast(pl.Int64)
        return rows(n, seed).with_columns(when=day + pl.duration(days=first) + pl.duration(seconds=at))

    evermodel.adopt(booster, data=dated(3000, 2, -3), target="y", name="m", time="when", registry=registry)
    usual = pl.concat([dated(24 + i % 3, i, i) for i in range(20)])
    assert names(evermodel.watch("m", usual, registry=registry).status) == set()
    few = evermodel.watch("m", pl.concat([dated(5, 30, 20), dated(1, 31, 21)]), registry=registry).status
    assert names(few) == {("volume", "rows")}
    assert "5 rows" in describe_alarm(few.open[0])
    assert (
        names(evermodel.watch("m", pl.concat([dated(24, 32, 22), dated(24, 33, 23)]), registry=registry).status)
        == set()
    )
    many = evermodel.watch("m", dated(400, 34, 24), registry=registry).status
    assert "400 rows" in describe_alarm(many.open[0])
