"""Alarms that a clock or a count alone decides: rows or labels that stopped, windows too full or too empty."""

from __future__ import annotations

import polars as pl
import pytest

import evermodel
from evermodel.loop import watch_certain
from evermodel.loop.watch_certain import silence
from evermodel.loop.watching import status
from tests.loop.conftest import adopted, booster, rows  # noqa: F401
from tests.watch.test_watch import stream

HOUR = 3600.0


@pytest.fixture
def hours(monkeypatch):
    """Sets what the monitor's clock says."""

    def at(h):
        monkeypatch.setattr(watch_certain, "clock", lambda: 1.7e9 + h * HOUR)
        monkeypatch.setattr("evermodel.loop.watching.clock", watch_certain.clock)
        monkeypatch.setattr("evermodel.loop.watch_look.clock", watch_certain.clock)

    return at


def names(found):
    return {(a.name, a.subject) for a in found.open} & {("freshness", "rows"), ("labels", "labels"), ("volume", "rows")}


def test_silence_needs_a_rhythm():
    hourly = tuple(HOUR * h for h in range(12))
    assert silence(hourly, 12.5 * HOUR) is None
    assert silence(hourly, 13.5 * HOUR) == 13 * HOUR
    assert silence(hourly[:8], 99 * HOUR) is None, "seven gaps are no rhythm"
    assert silence(tuple(2.0 * h for h in range(50)), 99 * HOUR) is None, "files loaded one after another are none"
    nightly = tuple(HOUR * h for h in range(60) if h % 24 > 8)
    assert silence(nightly, 71 * HOUR) is None, "a night is usual"


def test_rows_that_stop_are_an_alarm_until_rows_come(adopted, hours):  # noqa: F811
    for h in range(12):
        hours(h)
        evermodel.watch("m", stream(20, h, first=100 * h), home=adopted)
    assert names(status("m", home=adopted)) == set()
    hours(20)
    late = status("m", home=adopted)
    assert names(late) == {("freshness", "rows")}, "labels came with the rows: they are not late on their own"
    assert late.open[0].since == "2023-11-15T11:13:20+00:00"
    again = evermodel.watch("m", stream(20, 50, first=5000), home=adopted).monitored
    assert names(again) == set()
    assert [a.name for a in again.alarms if a.closed] == ["freshness"], "it was open, and that is on record"
    assert again.counters["alarms"] == late.counters["alarms"] == 1


def test_labels_that_stop_while_rows_come_are_an_alarm(adopted, hours):  # noqa: F811
    for h in range(12):
        hours(h)
        evermodel.watch("m", stream(20, h, first=100 * h), home=adopted)
    for h in range(12, 18):
        hours(h)
        found = evermodel.watch("m", stream(20, h, first=100 * h).drop("y"), home=adopted).monitored
    assert names(found) == {("labels", "labels")}
    assert found.counters["alarms"] == 1, "it opens once"
    came = evermodel.watch("m", labels=stream(20, 17, first=1700).select("id", "y"), home=adopted).monitored
    assert names(came) == set()


def test_a_day_with_far_fewer_or_more_rows_is_an_alarm(booster, tmp_path):  # noqa: F811
    home, day = tmp_path / "home", pl.datetime(2024, 1, 1)

    def dated(n, seed, first):
        step = 86_400 / n
        at = (pl.int_range(n) * step).cast(pl.Int64)
        return rows(n, seed).with_columns(when=day + pl.duration(days=first) + pl.duration(seconds=at))

    evermodel.adopt(booster, data=dated(3000, 2, -3), target="y", name="m", time="when", home=home)
    usual = pl.concat([dated(24 + i % 3, i, i) for i in range(20)])
    assert names(evermodel.watch("m", usual, home=home).monitored) == set()
    few = evermodel.watch("m", pl.concat([dated(5, 30, 20), dated(1, 31, 21)]), home=home).monitored
    assert names(few) == {("volume", "rows")}
    assert "5 rows" in few.open[0].cause
    assert names(evermodel.watch("m", pl.concat([dated(24, 32, 22), dated(24, 33, 23)]), home=home).monitored) == set()
    many = evermodel.watch("m", dated(400, 34, 24), home=home).monitored
    assert "400 rows" in many.open[0].cause
