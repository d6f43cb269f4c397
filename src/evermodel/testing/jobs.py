"""What every store must promise about jobs: each exists once, one worker has it, its effect and its end are one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from evermodel.core.errors import LeaseLost, Moved
from evermodel.core.records.event import Decided, Event, EventKind
from evermodel.core.records.job import Done, Job, JobError, JobKind, JobOutcome, JobReason
from evermodel.core.store import Move, Store

Opened = Callable[[], Store]
PROMOTED = Event("m", EventKind.PROMOTED, "now", Decided("v9", "v1"))
DUE = Job("m", JobKind.CHECK, "2026-01-01T00:00:00+00:00", (JobReason("schedule", {"schedule": "day"}),))
ENDED = JobOutcome(notes=("done",))


def check_due_job_exists_once(opened: Opened) -> None:
    """The same job said by many at once is one job; another due moment, kind or model is another."""
    with ThreadPoolExecutor(6) as pool:
        new = list(pool.map(lambda _: opened().add_jobs([DUE]), range(12)))
    assert sum(new) == 1, f"{sum(new)} of 12 said the job was new"
    others = [dataclasses.replace(DUE, due="2026-01-02T00:00:00+00:00"), dataclasses.replace(DUE, kind=JobKind.UPDATE)]
    assert opened().add_jobs([*others, DUE]) == 2
    assert len(opened().list_jobs("m")) == 3


def check_job_is_held_by_one_worker(opened: Opened) -> None:
    """Of many who ask at once, one gets it; a model's next job waits until it has ended."""
    opened().add_jobs([DUE, dataclasses.replace(DUE, kind=JobKind.UPDATE)])
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda i: opened().lease_job(f"w{i}", at=0.0, seconds=60.0), range(12)))
    held = [j for j in got if j is not None]
    assert [(j.kind, j.fence) for j in held] == [("check", 1)], f"held: {held}"
    opened().commit_moves("m", [], [], Done(held[0], ENDED))
    following = opened().lease_job("w", at=0.0, seconds=60.0)
    assert following is not None and following.kind == "update", "the next job did not come free"


def check_late_worker_is_refused(opened: Opened) -> None:
    """A worker whose job was taken over moves nothing, ends nothing, and prolongs nothing."""
    store = opened()
    store.add_jobs([DUE])
    late = store.lease_job("late", at=0.0, seconds=10.0)
    assert late is not None
    assert store.lease_job("early", at=5.0, seconds=10.0) is None, "it was handed out twice"
    taken = opened().lease_job("other", at=11.0, seconds=10.0)
    assert taken is not None and taken.fence == 2, "the lease ended and nobody got the job"
    for act in (
        lambda: store.commit_moves("m", [Move("champion", "v9", None)], [PROMOTED], Done(late, ENDED)),
        lambda: store.commit_moves("m", [Move("champion", "v9", None)], [], Done(late)),
        lambda: store.renew_lease(late, until=99.0),
        lambda: store.fail_job(late, ENDED, after=None),
    ):
        _refused(act)
    assert opened().resolve_alias("m", "champion") is None and not opened().read_events("m"), (
        "a stale worker had an effect"
    )
    opened().commit_moves("m", [Move("champion", "v1", None)], [], Done(taken, ENDED))
    assert opened().list_jobs("m")[0].state == "done"
    _refused(lambda: store.commit_moves("m", [Move("champion", "v9", "v1")], [], Done(taken, ENDED)))


def check_effect_and_end_are_one(opened: Opened) -> None:
    """Where the move is refused the job has not ended; where it is made, the job has ended and what is next is due."""
    store = opened()
    store.add_jobs([DUE])
    job = store.lease_job("w", at=0.0, seconds=60.0)
    assert job is not None
    following = dataclasses.replace(DUE, kind=JobKind.UPDATE)
    try:
        store.commit_moves("m", [Move("champion", "v2", "v1")], [], Done(job, ENDED, (following,)))
    except LeaseLost:
        raise AssertionError("refused for another reason than the move") from None
    except Moved:
        pass
    assert [j.state for j in opened().list_jobs("m")] == ["running"], "the job ended without its effect"
    store.commit_moves("m", [Move("champion", "v1", None)], [], Done(job, ENDED, (following,)))
    assert [(j.kind, j.state) for j in opened().list_jobs("m")] == [("check", "done"), ("update", "due")]


def check_deadly_job_is_given_up(opened: Opened) -> None:
    """A job with which ``most`` workers were lost is dead and told why; revived, it is due again."""
    store = opened()
    store.add_jobs([DUE])
    for i in range(3):
        assert store.lease_job(f"w{i}", at=100.0 * i, seconds=10.0, most=3) is not None
    assert store.lease_job("w", at=1_000.0, seconds=10.0, most=3) is None
    (dead,) = opened().list_jobs("m")
    assert dead.state == "dead" and dead.outcome is not None and dead.outcome.error is not None, dead
    assert "lost" in dead.outcome.error.message, dead
    assert store.revive_jobs("m") == 1 and store.lease_job("w", at=1_000.0, seconds=10.0, most=3) is not None


def check_failed_job_waits(opened: Opened) -> None:
    """After a failure a job is not begun before its time."""
    store = opened()
    store.add_jobs([DUE])
    job = store.lease_job("w", at=0.0, seconds=10.0)
    assert job is not None
    store.fail_job(job, JobOutcome(error=JobError("ValueError", "no")), after=50.0)
    assert store.lease_job("w", at=49.0, seconds=10.0) is None
    again = store.lease_job("w", at=50.0, seconds=10.0)
    assert again is not None and again.attempts == 2


def _refused(act: Callable[[], object]) -> None:
    try:
        act()
    except LeaseLost:
        return
    raise AssertionError("a stale worker was not refused")


CHECKS = (
    check_due_job_exists_once,
    check_job_is_held_by_one_worker,
    check_late_worker_is_refused,
    check_effect_and_end_are_one,
    check_deadly_job_is_given_up,
    check_failed_job_waits,
)
