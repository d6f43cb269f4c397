"""Schedules: exactly once on the odd Sundays, months of all lengths, missed runs caught up once."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.errors import BadSetting
from evermodel.core.schedule import Schedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
MOMENTS = st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2028, 1, 1)).map(lambda t: t.replace(tzinfo=dt.UTC))
TEXTS = (
    "15 minutes",
    "5 hours",
    "day",
    "3 days",
    "week",
    "2 weeks",
    "month",
    "5 months",
    "30 2 * * *",
    "0 0 31 * *",
    "*/20 1-3 * * 0",
)
BERLIN = ZoneInfo("Europe/Berlin")


def between(schedule: Schedule, start: dt.datetime, end: dt.datetime, anchor: dt.datetime) -> list[dt.datetime]:
    found = []
    for due in schedule.after(start, anchor):
        if due > end:
            return found
        found.append(due)
    return found


@pytest.mark.parametrize("text", ["day", "30 2 * * *"])
@pytest.mark.parametrize("sunday", ["2026-03-29", "2026-10-25"])
def test_half_past_two_happens_once_on_the_two_odd_sundays(text, sunday):
    anchor = dt.datetime(2026, 1, 1, 2, 30, tzinfo=BERLIN)
    midnight = dt.datetime.fromisoformat(sunday).replace(tzinfo=BERLIN)
    found = between(Schedule(text, "Europe/Berlin"), midnight, midnight + dt.timedelta(days=1), anchor)
    assert len(found) == 1, found
    # summer time left out 02:30, so it comes right after the gap; in autumn it is the first of the two
    local = found[0].astimezone(BERLIN)
    assert (local.hour, local.fold) == ((3, 0) if sunday == "2026-03-29" else (2, 0))


def test_the_thirty_first_is_the_last_day_of_a_shorter_month():
    anchor = dt.datetime(2026, 1, 31, 8, tzinfo=dt.UTC)
    found = islice(Schedule("month").after(anchor, anchor), 5)
    assert [d.date().isoformat() for d in found] == [
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
        "2026-05-31",
        "2026-06-30",
    ]
    leap = islice(Schedule("month").after(dt.datetime(2028, 1, 31, 9, tzinfo=dt.UTC), anchor), 1)
    assert next(leap).date().isoformat() == "2028-02-29"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(ZONES), MOMENTS, MOMENTS)
def test_moments_grow_and_lie_after(text, zone, anchor, moment):
    found = list(islice(Schedule(text, zone).after(moment, anchor), 8))
    assert all(d > moment for d in found)
    assert found == sorted(set(found))
    assert all(d.utcoffset() == dt.timedelta(0) for d in found)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(ZONES), MOMENTS, st.integers(0, 90))
def test_the_last_one_is_the_newest_of_those_since(text, zone, anchor, days):
    schedule, since = Schedule(text, zone), anchor + dt.timedelta(days=3)
    now = since + dt.timedelta(days=days, minutes=7)
    every = between(schedule, since, now, anchor)
    assert schedule.last(now, since, anchor) == (every[-1] if every else None)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), MOMENTS, st.integers(0, 700))
def test_a_day_is_a_day_of_the_wall_clock(zone, anchor, days):
    """In any stretch of local days there are as many moments as days, whatever the clocks did."""
    local = anchor.astimezone(ZoneInfo(zone)).replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
    start = local.astimezone(dt.UTC)
    wall = (local.replace(tzinfo=None) + dt.timedelta(days=days)).replace(tzinfo=ZoneInfo(zone))
    assert len(between(Schedule("day", zone), start, wall.astimezone(dt.UTC), start)) == days


@pytest.mark.parametrize("text", ["fortnightly", "0 days", "61 * * * *", "* * *", "", "every blue moon"])
def test_what_is_no_schedule_is_said(text):
    with pytest.raises(BadSetting, match="span or five fields"):
        Schedule(text)


def test_a_zone_that_is_none_is_said():
    with pytest.raises(BadSetting, match="Europe/Berlin"):
        Schedule("day", "Mitteleuropa")
