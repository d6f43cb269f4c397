"""Does what is due for models with nobody looking: each job once, with a report of what was done."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evermodel.core import clock as clocks
from evermodel.core.clock import Clock
from evermodel.core.process_owner import owner
from evermodel.core.records.job import Job, JobState
from evermodel.core.store import Store
from evermodel.maintenance.job_wording import describe_reasons
from evermodel.maintenance.notifications import notify_about_job
from evermodel.maintenance.schedule_jobs import list_due_jobs, read_policy, select_models
from evermodel.maintenance.worker import LEASE, Interrupt, JobReport, no_interrupt, run_job
from evermodel.registry.lookup import open_store
from evermodel.registry.results import Result

MOST_JOBS = 1_000  # of one call: a loop that feeds itself ends


@dataclass(frozen=True)
class MaintainResult(Result):
    """What was due, why, what was done."""

    at: str
    jobs: tuple[JobReport, ...]
    dry_run: bool = False

    def lines(self) -> list[str]:
        if not self.jobs:
            return [f"maintained at {self.at}: nothing was due"]
        lines = [f"maintained at {self.at}: {len(self.jobs)} jobs"]
        for job in self.jobs:
            decision = f", {job.decision.replace('_', ' ')}" if job.decision else ""
            head = f"{job.name} {job.kind} due {job.due} ({describe_reasons(job.reasons)})"
            lines.append(f"  {head}: {job.state}{decision}")
            lines += [f"    {note}" for note in job.notes]
        return lines

    @property
    def failed(self) -> bool:
        """Whether a job was given up, or has to be tried again."""
        return any(j.state in ("dead", "again", "lost") for j in self.jobs)


def maintain(
    names: Sequence[str] | str = (),
    *,
    dry_run: bool = False,
    registry: str | Path | None = None,
    retry: bool = False,
    clock: Clock = clocks.wall_clock,
    lease: float = LEASE,
    on_job: Callable[[JobReport], None] = lambda report: None,
) -> MaintainResult:
    """Do what is due for these models (default: all that have a policy), and return what was done.

    Any number of processes may do so at once, on one registry: each due job is done by one of them. ``clock`` says what
    time it is; nothing sleeps. ``lease``: seconds after which a silent worker's job is taken over. ``dry_run`` tells
    what is due and does nothing; ``retry``: jobs given up are due again. Raises NotFound, AskedWrongly.

        $ evermodel maintain churn --once
    """
    return run_due_jobs(
        open_store(registry), names, dry_run=dry_run, retry=retry, clock=clock, lease=lease, on_job=on_job
    )


def run_due_jobs(
    store: Store,
    names: Sequence[str] | str = (),
    *,
    dry_run: bool = False,
    retry: bool = False,
    clock: Clock = clocks.wall_clock,
    lease: float = LEASE,
    on_job: Callable[[JobReport], None] = lambda report: None,
    interrupt: Interrupt = no_interrupt,
) -> MaintainResult:
    """``maintain`` for a registry that is open; ``interrupt`` may stop a job in the middle of a stage."""
    names = [names] if isinstance(names, str) else names
    with clocks.use_clock(clock):
        models = select_models(store, names)
        at = clocks.current_time().isoformat(timespec="seconds")
        jobs = [job for name in models for job in list_due_jobs(store, name)]
        if dry_run:
            return MaintainResult(at, _list_due(store, models, jobs), True)
        store.add_jobs(jobs)
        for name in models if retry else ():
            store.revive_jobs(name)
        worker = f"{owner()}~{os.getpid()}~{uuid.uuid4().hex[:8]}"
        reports: list[JobReport] = []
        while len(reports) < MOST_JOBS:
            most = max((read_policy(store, n)[0].retries for n in models), default=0) + 1
            job = store.lease_job(worker, at=clocks.current_seconds(), seconds=lease, names=models, most=most)
            if job is None:
                break
            policy = read_policy(store, job.name)[0]
            report = run_job(store, policy, job, lease, interrupt)
            if report.state in (JobState.DONE, JobState.DEAD):
                unsent = notify_about_job(store, policy, job, report.state)
                report = dataclasses.replace(report, notifications=unsent)
            reports.append(report)
            on_job(report)
    return MaintainResult(at, tuple(reports))


def _list_due(store: Store, models: Sequence[str], jobs: Sequence[Job]) -> tuple[JobReport, ...]:
    """What is due, without doing it: jobs that wait, and those that the schedules ask for now."""
    waiting = [j for j in store.list_jobs(states=(JobState.DUE, JobState.RUNNING)) if j.name in models]
    due = {(j.name, j.kind, j.due): j for j in (*waiting, *jobs)}
    return tuple(JobReport(j.name, j.kind, j.due, j.reasons, JobState.DUE) for j in due.values())
