"""Which jobs are due, by each model's policy; each once, and of those that were missed only the newest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from evermodel.core import clock
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.core.records.codec import decode
from evermodel.core.records.job import Job, JobKind, JobReason, JobReasonCode
from evermodel.core.records.maintenance_policy import POLICY_RECORD, SCHEDULE, Policy
from evermodel.core.store import Store

ALIAS = "policy"
BY_SCHEDULE = (JobReasonCode.FIRST_CHECK, JobReasonCode.SCHEDULE)


def read_policy(store: Store, name: str) -> tuple[Policy, dt.datetime]:
    """A model's policy, and the moment from which its schedules count. Raises AskedWrongly where it has none."""
    digest = store.resolve_alias(name, ALIAS)
    if digest is None:
        raise AskedWrongly(
            f"{name} has no policy: nothing says where its rows are.", f"evermodel policy {name} --set data=incoming"
        )
    record = decode(POLICY_RECORD, store.get_blob(digest).read_text(), name)
    return record.policy, dt.datetime.fromisoformat(record.since)


def select_models(store: Store, names: Sequence[str]) -> list[str]:
    """The models to maintain: those named, or all that have a policy. Raises NotFound, AskedWrongly."""
    known = store.list_models(ALIAS)
    for name in names:
        if name not in store.list_models():
            raise NotFound.among("model", name, store.list_models(), "'evermodel adopt' makes one.")
        if name not in known:
            read_policy(store, name)
    return list(dict.fromkeys(names)) or [n for n in known if store.resolve_alias(n, "champion") is not None]


def list_due_jobs(store: Store, name: str) -> Iterator[Job]:
    """What the schedules ask for now and is not there yet. The first check is due as soon as there is a policy."""
    policy, since = read_policy(store, name)
    now, jobs = clock.current_time(), store.list_jobs(name)
    for kind in JobKind:
        scheduled = [j for j in jobs if j.kind is kind and j.has_reason(*BY_SCHEDULE)]
        last = max((dt.datetime.fromisoformat(j.due) for j in scheduled), default=None)
        if last is None and kind is JobKind.CHECK:
            yield Job(name, kind, since.isoformat(), (JobReason(JobReasonCode.FIRST_CHECK),))
            last = since
        if kind is JobKind.UPDATE and SCHEDULE not in policy.triggers:
            continue
        due = policy.schedule(kind).last(now, last or since, since)
        if due is not None and due > since:
            data = {"schedule": str(getattr(policy, kind)), "time_zone": policy.time_zone}
            yield Job(name, kind, due.isoformat(), (JobReason(JobReasonCode.SCHEDULE, data),))
