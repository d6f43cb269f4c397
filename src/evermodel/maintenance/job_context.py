"""What the steps of a job hand on to one another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import polars as pl

from evermodel.core.errors import EvermodelError
from evermodel.core.plugins import FunctionKind
from evermodel.core.records.event import Event, EventData, EventKind
from evermodel.core.records.job import Job, JobOutcome
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.store import Move, Store
from evermodel.maintenance.maintenance_state import MaintenanceState
from evermodel.registry.lookup import event


class JobTimedOut(EvermodelError):
    """A job took longer than its policy allows."""


@dataclass(frozen=True)
class JobContext:
    """One job while it is done. A step takes it and gives it on, changed; nothing counts before the job ends."""

    store: Store
    policy: Policy
    job: Job
    now: float  # Unix seconds, when the job began
    state: MaintenanceState
    digest: str | None  # of the state as it was read: it shows whether somebody else wrote it meanwhile
    report_progress: Callable[[str], None]  # a few words for who looks at the running job
    deadline: float = float("inf")  # time.monotonic() at which the job has taken too long
    fresh: tuple[pl.DataFrame, ...] = ()  # rows whose labels came with this job
    delivered: tuple[tuple[Any, str], ...] = ()  # sources that came with this job, and what they hold
    due: tuple[Job, ...] = ()
    moves: tuple[Move, ...] = ()
    events: tuple[Event, ...] = ()
    outcome: JobOutcome = field(default_factory=JobOutcome)

    @property
    def name(self) -> str:
        return self.job.name

    def progress(self, words: str) -> None:
        """Says what is done now, for who looks at the job. Raises JobTimedOut where its time is over."""
        self.check_time()
        self.report_progress(words)

    def check_time(self, *_: object) -> None:
        """Raises JobTimedOut where the job's time is over; called between stages, epochs and trials."""
        if time.monotonic() > self.deadline:
            raise make_timeout_error(self.job, self.policy)

    def with_note(self, *notes: str, **changes: Any) -> JobContext:
        """With sentences on what was done, and ``changes`` to the outcome."""
        outcome = dataclasses.replace(self.outcome, notes=(*self.outcome.notes, *notes), **changes)
        return dataclasses.replace(self, outcome=outcome)

    def with_state(self, **changes: Any) -> JobContext:
        return dataclasses.replace(self, state=dataclasses.replace(self.state, **changes))

    def with_event(self, kind: EventKind, data: EventData) -> JobContext:
        """With an event, appended when the job ends."""
        return dataclasses.replace(self, events=(*self.events, event(self.name, kind, data)))


def make_timeout_error(job: Job, policy: Policy) -> JobTimedOut:
    """The error of a job whose time is over."""
    seconds = policy.seconds("timeout")
    return JobTimedOut(
        f"The {job.kind} of {job.name} took longer than {seconds:,.0f} s.", "Raise the policy's timeout."
    )


class Step(Protocol):
    """The function of a step plugin: one part of a check, which hands the job on with what it did."""

    def __call__(self, context: JobContext, /) -> JobContext: ...


STEPS: FunctionKind[Step, ModuleType] = FunctionKind("steps", ModuleType, package="evermodel.maintenance.steps")
