"""Sends a model's alarms to people: each once a level, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.notice import Notice
from evermodel.core.store import Store
from evermodel.monitoring.alarms.alarm_wording import describe_alarm, next_command
from evermodel.monitoring.monitor_state import MonitorState, read_state
from evermodel.monitoring.notice_delivery import Channel, prepare_channel, send_once
from evermodel.registry.lookup import champion_of, now, open_store
from evermodel.registry.results import Result


@dataclass(frozen=True)
class NotifyResult(Result):
    """``sent``: titles of the notices sent now; ``already_sent``: open alarms that were sent before; ``failed``: the
    notices that no channel took, with the error.
    """

    name: str
    sent: tuple[str, ...]
    already_sent: int
    failed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        head = f"{self.name}: {len(self.sent)} sent, {self.already_sent} sent before"
        return [head, *(f"  sent    {t}" for t in self.sent), *(f"  failed  {t}" for t in self.failed)]


def notify(
    name: str,
    notifier: str,
    *,
    settings: Mapping[str, Any] | None = None,
    test: bool = False,
    registry: str | Path | None = None,
) -> NotifyResult:
    """Send a model's open alarms by a notifier (webhook, email, slack, log): each once a level, and once when over.

    ``test`` sends one test notice instead, and raises NotDelivered where it does not arrive. Secrets in ``settings``
    are env:NAME or file:PATH. Of several replicas one sends. Raises BadSetting, NotFound.

        $ evermodel notify churn --with slack --set url=env:SLACK_URL
    """
    store = open_store(registry)
    champion_of(store, name)
    channel = Channel(notifier, settings or {})
    if test:
        send, checked = prepare_channel(channel)
        send(Notice("test", name, "ok", "This is a test notice; it arrived.", now()), **checked)
        return NotifyResult(name, ("a test notice",), 0)
    return notify_open_alarms(store, name, channel)


def notify_open_alarms(store: Store, name: str, channel: Channel) -> NotifyResult:
    """Sends by one channel what was not sent yet of a model's alarms, for a registry that is open."""
    state, _ = read_state(store, name)
    sent, already_sent, failed = [], 0, []
    for notice in _notices(state) if state else ():
        delivery = send_once(store, notice, [channel])
        if delivery is None:
            already_sent += notice.level != "ok"
        elif delivery.sent_by:
            sent.append(notice.title())
        else:
            failed.append(f"{notice.title()}: {delivery.failed[channel.notifier]}")
    return NotifyResult(name, tuple(sent), already_sent, tuple(failed))


def _notices(state: MonitorState) -> Iterator[Notice]:
    """The newest alarm of each kind and subject: one that closed and opened again is the same matter."""
    newest = {(a.kind, a.subject): a for a in state.alarms}
    for alarm in newest.values():
        level = "ok" if alarm.closed else alarm.level
        text = f"over since {alarm.closed}" if alarm.closed else describe_alarm(alarm)
        yield Notice(
            f"{alarm.kind}:{alarm.subject}",
            state.name,
            level,
            f"{alarm.kind} of {alarm.subject}: {text}",
            alarm.since,
            {"evidence": alarm.evidence},
            next_command(alarm, state.name, state.version, state.task),
        )
