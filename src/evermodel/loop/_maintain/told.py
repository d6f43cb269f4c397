"""Tells people what a job found, by the ways that the policy names: each matter once a level, and when it is over."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from evermodel.core.errors import BadSetting, EvermodelError
from evermodel.core.job import Job
from evermodel.core.notice import Notice
from evermodel.core.policy import Policy
from evermodel.core.store import Store
from evermodel.loop.home import now
from evermodel.loop.notify import notify
from evermodel.loop.telling import plan, tell


def ways(policy: Policy) -> list[dict[str, Any]]:
    """ "webhook url=env:HOOK" -> the way as notifiers take it. Raises BadSetting, NotFound."""
    found: list[dict[str, Any]] = []
    for text in policy.notify:
        name, *settings = shlex.split(text) or [""]
        pairs = [s.partition("=") for s in settings]
        if not name or not all(equals for _, equals, _ in pairs):
            raise BadSetting(f"notify takes NAME KEY=VALUE …, such as 'webhook url=env:HOOK'. Got {text!r}.")
        found.append({"with": name, **{k: v for k, _, v in pairs}})
        plan(found[-1])
    return found


def tell_of(store: Store, policy: Policy, job: Job, state: str) -> tuple[str, ...]:
    """Sends what a finished job found, and open alarms; what nobody took is returned in words."""
    by, failed = ways(policy), list[str]()
    for notice in _notices(store, job, state) if by else ():
        done = tell(store, notice, by)
        failed += [] if done is None else [f"not told by {k}: {v}" for k, v in done.failed.items()]
    for way in by if job.kind == "check" else ():
        settings = {k: v for k, v in way.items() if k != "with"}
        home: Any = store
        try:
            failed += notify(job.name, way["with"], settings=settings, home=home).failed
        except EvermodelError as error:
            failed.append(error.message)
    return tuple(failed)


def _notices(store: Store, job: Job, state: str) -> Iterator[Notice]:
    name, log = job.name, store.log(job.name)
    said = next((j.outcome.get("error", "") for j in store.jobs(name) if j.number == job.number), "")
    level = "critical" if state == "dead" else "ok"
    told = f"the {job.kind} due {job.due} was given up: {said}" if state == "dead" else f"a {job.kind} went well again"
    yield Notice(f"job:{job.kind}", name, level, told, now(), next_command=f"evermodel maintain {name} --once")
    for e in log[-20:]:
        why = "; ".join(map(str, e.facts.get("reasons", ())))
        if e.kind == "waits for approval":
            command = f"evermodel approve {name} {e.facts['version']}"
            yield Notice(f"approval:{e.facts['version']}", name, "warning", f"waits for you: {why}", e.at, {}, command)
        elif e.kind == "rolled back" and e.facts.get("by") == "probation":
            yield Notice(f"rolled back:{e.number}", name, "warning", why, e.at, {}, f"evermodel log {name}")
        elif e.kind == "delivery refused":
            what = f"{e.facts.get('source')} was refused: {why}"
            yield Notice(f"refused:{e.number}", name, "warning", what, e.at, {}, f"evermodel log {name}")
