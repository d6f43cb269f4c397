"""One timeline of a model: what happened, when, why, and what was said about it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadSetting, NotFound
from evermodel.core.store import Event
from evermodel.loop.home import checked_name, open_home
from evermodel.loop.results import Shown

AGES = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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
class History(Shown):
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


def history(name: str, *, since: str | None = None, home: str | Path | None = None) -> History:
    """What happened to a model, oldest first: adopted, judged, promoted, alarms, repairs, notices; and why.

    ``since`` is an age ("7d", "12h") or a date ("2026-03-01"). Raises NotFound, BadSetting.

        $ evermodel history churn --since 30d
    """
    store = open_home(home)
    log = store.log(checked_name(name))
    if not log:
        raise NotFound.among("model", name, {e.name for e in store.log()})
    start, told, champion = _start(since), [], None
    for event in log:
        champion = _serving(event, champion)
        if start is None or _moment(event.at) >= start:
            facts = event.facts
            by = str(facts["by"]) if isinstance(facts.get("by"), str) else None
            told.append(Happened(event.at, event.kind, _version(facts), _why(event), champion, by))
    return History(name, tuple(told))


def _serving(event: Event, before: str | None) -> str | None:
    serves = event.kind in ("adopted", "promoted", "rolled back")
    return str(event.facts["version"]) if serves and event.facts.get("version") else before


def _version(facts: Mapping[str, Any]) -> str | None:
    return str(facts["version"]) if facts.get("version") else None


def _why(event: Event) -> str:
    """One sentence from whatever the event tells."""
    facts = event.facts
    if event.kind == "alarm":
        return f"{facts.get('level')}: {facts.get('name')} of {facts.get('subject')}: {facts.get('cause')}"
    if event.kind == "alarm closed":
        return f"{facts.get('alarm')} of {facts.get('subject')}"
    if event.kind in ("notified", "not notified"):
        ways = ", ".join(facts.get("by") or facts.get("failed") or ())
        return f"{facts.get('level')}: {facts.get('what')} ({ways})"
    for key in ("reasons", "notes", "reason", "why"):
        found = facts.get(key)
        if found:
            return str(found if isinstance(found, str) else found[0])
    return f"was {facts['was']}" if facts.get("was") else ""


def _start(since: str | None) -> dt.datetime | None:
    if since is None:
        return None
    age = re.fullmatch(r"(\d{1,6})([mhdw])", since.strip())
    try:
        if age:
            return dt.datetime.now(dt.UTC) - dt.timedelta(**{AGES[age[2]]: int(age[1])})
        return _moment(since.strip())
    except (ValueError, OverflowError):
        raise BadSetting(f"--since must be an age such as 7d or 12h, or a date. Got {since!r}.") from None


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
