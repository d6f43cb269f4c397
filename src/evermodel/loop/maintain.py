"""Keep models good with nobody looking: what is due is done, once, and told."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evermodel.core import clock as clocks
from evermodel.core.clock import Clock
from evermodel.core.owners import owner
from evermodel.loop._maintain.planning import due_jobs, named, policy_of
from evermodel.loop._maintain.told import tell_of
from evermodel.loop._maintain.working import LEASE, Report, run
from evermodel.loop.home import open_home
from evermodel.loop.results import Shown

MOST = 1_000  # jobs of one call: a loop that feeds itself ends


@dataclass(frozen=True)
class Maintained(Shown):
    """What was due, why, what was done."""

    at: str
    jobs: tuple[Report, ...]
    dry_run: bool = False

    def lines(self) -> list[str]:
        if not self.jobs:
            return [f"maintained at {self.at}: nothing was due"]
        found = [f"maintained at {self.at}: {len(self.jobs)} jobs"]
        for job in self.jobs:
            decision = f", {job.decision}" if job.decision else ""
            found.append(f"  {job.name} {job.kind} due {job.due} ({job.why}): {job.state}{decision}")
            found += [f"    {words}" for words in job.said]
        return found

    @property
    def failed(self) -> bool:
        """Whether a job was given up, or has to be tried again."""
        return any(j.state in ("dead", "again", "lost") for j in self.jobs)


def maintain(
    names: Sequence[str] | str = (), *, dry_run: bool = False, home: str | Path | None = None,
    retry: bool = False, clock: Clock = clocks.wall, lease: float = LEASE,
    on_job: Callable[[Report], None] = lambda report: None,
) -> Maintained:  # fmt: skip
    """Do what is due for these models (default: all that have a policy), and return what was done.

    Any number of processes may do so at once, on one home: each due job is done by one of them. ``clock`` says what
    time it is; nothing sleeps. ``lease``: seconds after which a silent worker's job is taken over. ``dry_run`` tells
    what is due and does nothing; ``retry``: jobs given up are due again. Raises NotFound, AskedWrongly.

        $ evermodel maintain churn --once
    """
    store = open_home(home)
    names = [names] if isinstance(names, str) else names
    with clocks.by(clock):
        models, reports = named(store, names), list[Report]()
        at = clocks.moment().isoformat(timespec="seconds")
        jobs = [job for name in models for job in due_jobs(store, name)]
        if dry_run:
            waiting = [j for j in store.jobs(states=("due", "running")) if j.name in models]
            told = {(j.name, j.kind, j.due): j for j in (*waiting, *jobs)}
            return Maintained(at, tuple(Report(j.name, j.kind, j.due, j.why, "due") for j in told.values()), True)
        store.add_jobs(jobs)
        for name in models if retry else ():
            store.revive(name)
        worker = f"{owner()}~{os.getpid()}~{uuid.uuid4().hex[:8]}"
        while len(reports) < MOST:
            most = max((policy_of(store, n)[0].retries for n in models), default=0) + 1
            job = store.lease(worker, at=clocks.seconds(), seconds=lease, names=models, most=most)
            if job is None:
                break
            policy = policy_of(store, job.name)[0]
            report = run(store, policy, job, lease)
            untold = tell_of(store, policy, job, report.state) if report.state in ("done", "dead") else ()
            reports.append(dataclasses.replace(report, said=(*report.said, *untold)))
            on_job(reports[-1])
    return Maintained(at, tuple(reports))
