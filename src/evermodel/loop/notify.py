"""Tell whoever should know about a model's alarms, each once a level, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.monitoring import Alarm
from evermodel.core.notice import Notice
from evermodel.loop.home import champion_of, now, open_home
from evermodel.loop.results import Shown
from evermodel.loop.telling import plan, tell
from evermodel.loop.watch_state import read_state


@dataclass(frozen=True)
class Notified(Shown):
    """``told``: what was sent now; ``known``: open alarms that were told before; ``failed``: what nobody took."""

    name: str
    told: tuple[str, ...]
    known: int
    failed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        head = f"{self.name}: {len(self.told)} told, {self.known} told before"
        return [head, *(f"  told    {t}" for t in self.told), *(f"  failed  {t}" for t in self.failed)]


def notify(
    name: str, with_: str, *, settings: Mapping[str, Any] | None = None, test: bool = False,
    home: str | Path | None = None,
) -> Notified:  # fmt: skip
    """Send a model's open alarms by a notifier (webhook, email, slack, log): each once a level, and once when over.

    ``test`` sends one trial notice instead, and raises NotDelivered where it is not taken. Secrets in ``settings`` are
    env:NAME or file:PATH. Of several replicas one sends. Raises BadSetting, NotFound.

        $ evermodel notify churn --with slack --set url=env:SLACK_URL
    """
    store = open_home(home)
    champion_of(store, name)
    way = {"with": with_, **(settings or {})}
    if test:
        _, send, checked = plan(way)
        send(Notice("test", name, "ok", "a trial notice: it arrived", now()), **checked)
        return Notified(name, ("a trial notice",), 0)
    state, _ = read_state(store, name)
    told, known, failed = [], 0, []
    for notice in _notices(name, state.alarms if state else ()):
        done = tell(store, notice, [way])
        if done is None:
            known += notice.level != "ok"
        elif done.by:
            told.append(notice.title())
        else:
            failed.append(f"{notice.title()}: {done.failed[with_]}")
    return Notified(name, tuple(told), known, tuple(failed))


def _notices(name: str, alarms: tuple[Alarm, ...]) -> Iterator[Notice]:
    """The newest state of each matter: an alarm that closed and opened again is the same matter."""
    newest = {(a.name, a.subject): a for a in alarms}
    for alarm in newest.values():
        level = "ok" if alarm.closed else alarm.level
        what = f"{alarm.name} of {alarm.subject}: " + (f"over since {alarm.closed}" if alarm.closed else alarm.cause)
        yield Notice(
            f"{alarm.name}:{alarm.subject}", name, level, what, alarm.since, {"evidence": alarm.evidence}, alarm.next
        )
