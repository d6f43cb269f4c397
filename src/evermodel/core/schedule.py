"""When something is due: every so often, or by a line of cron; in a time zone, with its two odd Sundays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from evermodel.core.durations import SECONDS, parse_counted_unit
from evermodel.core.errors import BadSetting

if TYPE_CHECKING:
    from cronsim import CronSim

MOST_BACK = 400  # days: what was missed longer ago is caught up by what was missed since
BY_CLOCK = ("second", "minute", "hour")  # these count seconds that pass; the others keep the time of day


@dataclass(frozen=True)
class Schedule:
    """ "15 minutes", "day", "2 weeks", "month", or five fields of cron, in a time zone. Moments are aware, in UTC.

    Days, weeks and months keep the anchor's time of day by the wall clock; a time that a spring Sunday leaves out
    happens right after the gap, one that an autumn Sunday has twice happens the first time. The 31st is the last day
    of a shorter month. Cron fields behave so too.
    """

    text: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        _zone(self.zone)
        if parse_counted_unit(self.text) is None:
            _cron(self.text, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    def after(self, moment: dt.datetime, anchor: dt.datetime) -> Iterator[dt.datetime]:
        """Moments at which it is due, after ``moment``, oldest first; ``anchor`` is where counting began."""
        zone, counted = _zone(self.zone), parse_counted_unit(self.text)
        if counted is None:
            for local in _cron(self.text, moment.astimezone(zone)):
                yield local.astimezone(dt.UTC)
        elif counted[1] in BY_CLOCK:
            yield from _by_clock(moment, anchor, counted[0] * SECONDS[counted[1]])
        else:
            yield from _by_day(moment, anchor.astimezone(zone), *counted)

    def last(self, now: dt.datetime, since: dt.datetime, anchor: dt.datetime) -> dt.datetime | None:
        """The newest moment in (since, now] at which it was due; None if there is none. Missed ones count once."""
        start, found = max(since, now - dt.timedelta(days=MOST_BACK)), None
        for span in (2, 40, MOST_BACK):  # look near first, so that a schedule of minutes is not walked from the start
            near = max(start, now - dt.timedelta(days=span))
            for due in self.after(near, anchor):
                if due > now:
                    break
                found = due
            if found is not None or near == start:
                return found
        return found


def _by_clock(moment: dt.datetime, anchor: dt.datetime, seconds: int) -> Iterator[dt.datetime]:
    step = max(0, int((moment - anchor).total_seconds() // seconds)) if moment >= anchor else -1
    while True:
        step += 1
        yield (anchor + dt.timedelta(seconds=step * seconds)).astimezone(dt.UTC)


def _by_day(moment: dt.datetime, anchor: dt.datetime, number: int, unit: str) -> Iterator[dt.datetime]:
    """Steps of whole days or months on the wall clock, each from the anchor, so that the 31st stays the 31st."""
    from dateutil.relativedelta import relativedelta
    from dateutil.tz import resolve_imaginary

    days = {"day": 1, "week": 7, "month": 28}[unit] * number
    step = max(0, (moment - anchor).days // (days if unit != "month" else 31 * number) - 1)
    while True:
        step_length = relativedelta(months=step * number) if unit == "month" else relativedelta(days=step * days)
        wall = anchor.replace(tzinfo=None) + step_length
        due = resolve_imaginary(wall.replace(tzinfo=anchor.tzinfo, fold=0)).astimezone(dt.UTC)
        step += 1
        if due > moment:
            yield due


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise BadSetting(f"time_zone must be a name such as Europe/Berlin. Got {name[:60]!r}.") from None


def _cron(text: str, start: dt.datetime) -> CronSim:
    from cronsim import CronSim, CronSimError

    try:
        return CronSim(text, start)
    except CronSimError:
        raise BadSetting(
            f"A schedule must be a span or five fields of cron. Got {text[:60]!r}.",
            "'15 minutes', 'day', '2 weeks', 'month', or '30 2 * * 1'.",
        ) from None
