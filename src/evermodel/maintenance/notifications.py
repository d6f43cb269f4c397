"""Notifies people of what a job did, by the channels of the policy: once a level, and once when it is over."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator

from evermodel.core.errors import BadSetting, EvermodelError
from evermodel.core.notice import Notice
from evermodel.core.records.event import Actor, ChampionMoved, Decided, DeliveryRefused, EventKind
from evermodel.core.records.job import Job, JobKind, JobState
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.store import Store
from evermodel.monitoring.notice_delivery import Channel, prepare_channel, send_once
from evermodel.monitoring.notify import notify_open_alarms
from evermodel.registry.lookup import now

logger = logging.getLogger(__name__)


def read_notifiers(policy: Policy) -> list[Channel]:
    """ "webhook url=env:HOOK" -> the channels that a policy names. Raises BadSetting, NotFound."""
    channels: list[Channel] = []
    for text in policy.notify:
        try:
            name, *settings = shlex.split(text) or [""]
        except ValueError as error:
            raise BadSetting(f"notify has a quotation mark too many or too few: {text!r} ({error}).") from None
        pairs = [s.partition("=") for s in settings]
        if not name or not all(equals for _, equals, _ in pairs):
            raise BadSetting(f"notify takes NAME KEY=VALUE …, such as 'webhook url=env:HOOK'. Got {text!r}.")
        channels.append(Channel(name, {k: v for k, _, v in pairs}))
        prepare_channel(channels[-1])
    return channels


def notify_about_job(store: Store, policy: Policy, job: Job, state: str) -> tuple[str, ...]:
    """Sends what a finished job did, and open alarms; returns what could not be sent, one sentence each."""
    channels, unsent = read_notifiers(policy), list[str]()
    for notice in _notices(store, job, state) if channels else ():
        delivery = send_once(store, notice, channels)
        unsent += [] if delivery is None else [f"not sent by {k}: {v}" for k, v in delivery.failed.items()]
    for channel in channels if job.kind is JobKind.CHECK else ():
        try:
            unsent += notify_open_alarms(store, job.name, channel).failed
        except EvermodelError as error:
            logger.warning("%s: alarms could not be sent by %s", job.name, channel.notifier, exc_info=True)
            unsent.append(error.message)
    return tuple(unsent)


def _notices(store: Store, job: Job, state: str) -> Iterator[Notice]:
    name, log = job.name, store.read_events(job.name)
    ended = next((j.outcome for j in store.list_jobs(name) if j.number == job.number), None)
    problem = ended.error.message if ended is not None and ended.error is not None else ""
    level = "critical" if state == JobState.DEAD else "ok"
    text = f"a {job.kind} went well again"
    if state == JobState.DEAD:
        text = f"the {job.kind} due {job.due} was given up: {problem}"
    yield Notice(f"job:{job.kind}", name, level, text, now(), next_command=f"evermodel maintain {name} --once")
    for e in log[-20:]:
        data = e.data
        if isinstance(data, Decided) and e.kind is EventKind.AWAITING_APPROVAL:
            what = f"waits for you: {'; '.join(data.reasons)}"
            command = f"evermodel approve {name} {data.version}"
            yield Notice(f"approval:{data.version}", name, "warning", what, e.at, {}, command)
        elif isinstance(data, ChampionMoved) and e.kind is EventKind.ROLLED_BACK and data.by is Actor.PROBATION:
            what = "; ".join(data.reasons)
            yield Notice(f"rolled back:{e.number}", name, "warning", what, e.at, {}, f"evermodel log {name}")
        elif isinstance(data, DeliveryRefused):
            what = f"{data.source} was refused: {'; '.join(data.reasons)}"
            yield Notice(f"refused:{e.number}", name, "warning", what, e.at, {}, f"evermodel log {name}")
