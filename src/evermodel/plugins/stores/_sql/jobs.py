"""Jobs and leases. A stale worker is refused in the transaction in which it wanted to have an effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from evermodel.core.errors import LeaseLost
from evermodel.core.records.codec import decode, encode
from evermodel.core.records.job import (
    JOB_OUTCOME,
    JOB_REASONS,
    Done,
    Job,
    JobError,
    JobKind,
    JobOutcome,
    JobReasons,
    JobState,
)
from evermodel.plugins.stores._sql.database import Database
from evermodel.plugins.stores._sql.tables import JOBS

LEASING = "~jobs"  # the key of the lock under which jobs are handed out; no model can be called so


class Jobs:
    """The part of a store that hands out work. Times are Unix seconds by the caller's clock."""

    _database: Database

    def add_jobs(self, jobs: Iterable[Job], /) -> int:
        """Adds those that are not there yet, by their key; returns how many were new."""
        with self._database.writing(LEASING) as db:
            return sum(add(db, job) for job in jobs)

    def list_jobs(self, name: str | None = None, /, *, states: Collection[str] = ()) -> list[Job]:
        """All jobs, or a model's, or those in some states; oldest first."""
        query = sa.select(JOBS).order_by(JOBS.c.due, JOBS.c.kind, JOBS.c.number)
        if name is not None:
            query = query.where(JOBS.c.name == name)
        if states:
            query = query.where(JOBS.c.state.in_(tuple(states)))
        with self._database.reading() as db:
            return [_job(row) for row in db.execute(query).mappings()]

    def lease_job(
        self, owner: str, /, *, at: float, seconds: float, names: Collection[str] | None = None, most: int = 4
    ) -> Job | None:
        """The oldest job that can be begun at ``at``, now held by ``owner``; None where there is none.

        One job a model at a time. A job whose worker's lease ended is taken over; after ``most`` workers were lost
        with it, it is dead.
        """
        with self._database.writing(LEASING) as db:
            rows = [_job(r) for r in db.execute(sa.select(JOBS).where(JOBS.c.state.in_(("due", "running")))).mappings()]
            busy = {j.name for j in rows if j.state == "running" and j.until > at}
            free = [j for j in rows if j.name not in busy and j.after <= at and (names is None or j.name in names)]
            for job in sorted(free, key=lambda j: (j.due, j.kind, j.number)):
                if job.attempts >= most:
                    message = f"{job.attempts} workers were lost with it; the last was {job.owner}."
                    lost = JobOutcome(notes=(message,), error=JobError("WorkersLost", message))
                    _take(db, job, state=JobState.DEAD, outcome=encode(JOB_OUTCOME, lost))
                    continue
                taken = {
                    "state": "running",
                    "owner": owner,
                    "until": at + seconds,
                    "fence": job.fence + 1,
                    "attempts": job.attempts + 1,
                }
                if _take(db, job, **taken):
                    found = db.execute(sa.select(JOBS).where(JOBS.c.number == job.number)).mappings().one()
                    return _job(found)
        return None

    def renew_lease(self, job: Job, /, *, until: float, progress: str = "") -> None:
        """Says that the worker lives, and how far it is. Raises LeaseLost."""
        with self._database.writing(LEASING) as db:
            said = {"progress": progress} if progress else {}
            change_held_job(db, job, until=until, **said)

    def fail_job(self, job: Job, outcome: JobOutcome, /, *, after: float | None) -> None:
        """Ends an attempt: again from ``after`` on, or (None) never: dead. Raises LeaseLost."""
        state = {"state": "dead"} if after is None else {"state": "due", "after": after}
        with self._database.writing(LEASING) as db:
            change_held_job(db, job, owner="", until=0.0, outcome=encode(JOB_OUTCOME, outcome), **state)

    def revive_jobs(self, name: str, /) -> int:
        """Dead jobs of a model are due again, with all their attempts; returns how many."""
        dead = (JOBS.c.name == name) & (JOBS.c.state == "dead")
        with self._database.writing(LEASING) as db:
            return db.execute(sa.update(JOBS).where(dead).values(state="due", attempts=0, after=0.0)).rowcount


def add(db: sa.Connection, job: Job) -> int:
    """One job unless its key is there already."""
    key = (JOBS.c.name == job.name) & (JOBS.c.kind == job.kind) & (JOBS.c.due == job.due)
    if db.scalar(sa.select(JOBS.c.number).where(key)) is not None:
        return 0
    values = {c: getattr(job, c) for c in JOBS.c.keys() if c not in ("number", "outcome", "reasons")}  # noqa: SIM118
    outcome = "" if job.outcome is None else encode(JOB_OUTCOME, job.outcome)
    reasons = encode(JOB_REASONS, JobReasons(job.reasons))
    db.execute(sa.insert(JOBS).values(**values, reasons=reasons, outcome=outcome))
    return 1


def finish(db: sa.Connection, done: Done) -> None:
    """Within the caller's transaction: the job's lease is checked, its outcome written, what is next added."""
    if done.outcome is None:
        change_held_job(db, done.job, owner=done.job.owner)
    else:
        change_held_job(db, done.job, state="done", until=0.0, outcome=encode(JOB_OUTCOME, done.outcome))
    for job in done.due:
        add(db, job)


def change_held_job(db: sa.Connection, job: Job, **values: Any) -> None:
    """Changes a job that ``job.fence`` still holds; the row is locked until the transaction ends. Raises LeaseLost."""
    if not _take(db, job, **values):
        raise LeaseLost(
            f"The {job.kind} of {job.name} due {job.due} is no longer held by this worker: another took it over.",
            "Nothing was changed by this one.",
        )


def _take(db: sa.Connection, job: Job, **values: Any) -> bool:
    """Compare-and-swap on the fence and the state."""
    where = (JOBS.c.number == job.number) & (JOBS.c.fence == job.fence) & (JOBS.c.state == job.state)
    return (
        db.execute(
            sa.update(JOBS).where(where & JOBS.c.state.not_in((JobState.DONE, JobState.DEAD))).values(**values)
        ).rowcount
        == 1
    )


def _job(row: Any) -> Job:
    subject = f"{row['kind']} of {row['name']}"
    typed = {
        "kind": JobKind(row["kind"]),
        "state": JobState(row["state"]),
        "reasons": decode(JOB_REASONS, row["reasons"], subject).reasons,
        "outcome": decode(JOB_OUTCOME, row["outcome"], subject) if row["outcome"] else None,
    }
    return Job(**{**row, **typed})
