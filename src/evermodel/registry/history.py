"""One timeline of a model: what happened, when, why, and what was said about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from evermodel.core.durations import find_seconds
from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.records.event import SERVING, ChampionMoved, Event
from evermodel.registry.event_wording import describe_event
from evermodel.registry.lookup import check_name, open_store
from evermodel.registry.results import Result


@dataclass(frozen=True)
class Happened:
    """One thing that happened. ``champion``: the version in service afterwards; None before there was one."""

    at: str
    what: str
    version: str | None
    why: str
    champion: str | None
    by: str | None = None  # "hand", "doctor", …; None where an update or a monitor did it


@dataclass(frozen=True)
class History(Result):
    """Oldest first."""

    name: str
    events: tuple[Happened, ...]

    def lines(self) -> list[str]:
        if not self.events:
            return [f"{self.name}: nothing happened in that time"]
        shown = []
        for e in self.events:
            by = f" (by {e.by})" if e.by else ""
            what = e.what + (f" {e.version}" if e.version else "")
            shown.append(f"{e.at[:19].replace('T', ' ')}  {e.champion or '-':<5} {what:<22} {e.why}{by}")
        return [f"{self.name}: {len(self.events)} events; the second column is what served afterwards", *shown]


def history(name: str, *, since: str | None = None, registry: str | Path | None = None) -> History:
    """What happened to a model, oldest first: adopted, judged, promoted, alarms, repairs, notices; and why.

    ``since`` is an age ("7d", "12h") or a date ("2026-03-01"). Raises NotFound, BadSetting.

        $ evermodel history churn --since 30d
    """
    store = open_store(registry)
    log = store.read_events(check_name(name))
    if not log:
        raise NotFound.among("model", name, {e.name for e in store.read_events()})
    start, happened, champion = _start(since), list[Happened](), None
    for event in log:
        champion = event.version if event.kind in SERVING else champion
        if start is None or _moment(event.at) >= start:
            happened.append(
                Happened(event.at, event.kind.value, event.version or None, describe_event(event), champion, _by(event))
            )
    return History(name, tuple(happened))


def _by(event: Event) -> str | None:
    return event.data.by.value if isinstance(event.data, ChampionMoved) else None


def _start(since: str | None) -> dt.datetime | None:
    if since is None:
        return None
    age = find_seconds(since)
    try:
        if age is not None:
            return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)
        return _moment(since.strip())
    except (ValueError, OverflowError):
        raise BadSetting(f"`since` must be an age such as 7d or 12h, or a date. Got {since!r}.") from None


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
