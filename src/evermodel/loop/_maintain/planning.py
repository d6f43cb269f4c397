"""Which jobs are due, by each model's policy; each once, and of those that were missed only the newest."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence

from evermodel.core import clock
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.core.job import Job
from evermodel.core.policy import Policy
from evermodel.core.store import Store

ALIAS = "policy"
KINDS = ("check", "update")


def policy_of(store: Store, name: str) -> tuple[Policy, dt.datetime]:
    """A model's policy, and the moment from which its schedules count. Raises AskedWrongly where it has none."""
    digest = store.at(name, ALIAS)
    if digest is None:
        raise AskedWrongly(
            f"{name} has no policy: nothing says where its rows are.", f"evermodel policy {name} --set data=incoming"
        )
    raw = json.loads(store.blob(digest).read_text())
    return Policy.from_json(json.dumps(raw["policy"])), dt.datetime.fromisoformat(raw["since"])


def named(store: Store, names: Sequence[str]) -> list[str]:
    """The models to maintain: those named, or all that have a policy. Raises NotFound, AskedWrongly."""
    known = store.models(ALIAS)
    for name in names:
        if name not in store.models():
            raise NotFound.among("model", name, store.models(), "'evermodel adopt' makes one.")
        if name not in known:
            policy_of(store, name)
    return list(dict.fromkeys(names)) or [n for n in known if store.at(n, "champion") is not None]


def due_jobs(store: Store, name: str) -> Iterator[Job]:
    """What the schedules ask for now and is not there yet. The first check is due as soon as there is a policy."""
    policy, since = policy_of(store, name)
    now, there = clock.moment(), store.jobs(name)
    for kind in KINDS:
        scheduled = [j for j in there if j.kind == kind and j.why.startswith("schedule")]
        last = max((dt.datetime.fromisoformat(j.due) for j in scheduled), default=None)
        if last is None and kind == "check":
            yield Job(name, kind, since.isoformat(), "schedule: the first look")
            last = since
        if kind == "update" and "schedule" not in policy.triggers:
            continue
        due = policy.schedule(kind).last(now, last or since, since)
        if due is not None and due > since:
            yield Job(name, kind, due.isoformat(), f"schedule: {getattr(policy, kind)} ({policy.time_zone})")
