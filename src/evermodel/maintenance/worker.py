"""Does one leased job: renews its lease, ends it once, tries again where that can help, else keeps the error."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from evermodel.core import clock
from evermodel.core.data.source import use_dialect
from evermodel.core.errors import EvermodelError, LeaseLost
from evermodel.core.files import disk_space
from evermodel.core.records.job import Done, Job, JobDecision, JobError, JobKind, JobOutcome, JobReason, JobState
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.records.model_signature import UNSTATED, TableDialect
from evermodel.core.store import Move, Store
from evermodel.maintenance.job_context import STEPS, JobContext
from evermodel.maintenance.maintenance_state import ALIAS, month_of, read_maintenance_state, write_maintenance_state
from evermodel.maintenance.update_job import run_update

LEASE = 120.0  # seconds by the clock in use; renewed three times within it
LONGEST_WAIT = 86_400.0  # seconds between two attempts, at most
MOST_TRACEBACK = 8_000  # characters of a traceback that are kept, its end
Interrupt = Callable[[Job, Policy], AbstractContextManager[None]]
logger = logging.getLogger(__name__)


def no_interrupt(job: Job, policy: Policy) -> AbstractContextManager[None]:
    """A job is stopped between its stages only; the command line may stop it in the middle of one."""
    return nullcontext()


@dataclass(frozen=True)
class JobReport:
    """What became of one job."""

    name: str
    kind: JobKind
    due: str
    reasons: tuple[JobReason, ...]
    state: str  # "done" | "again" | "dead" | "lost" | "due" (a dry run)
    outcome: JobOutcome = field(default_factory=JobOutcome)
    attempts: int = 0
    notifications: tuple[str, ...] = ()  # what could not be sent, and why

    @property
    def decision(self) -> JobDecision | None:
        return self.outcome.decision

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, one sentence each."""
        return (*self.outcome.notes, *self.notifications)


def run_job(
    store: Store, policy: Policy, job: Job, lease: float = LEASE, interrupt: Interrupt = no_interrupt
) -> JobReport:
    """One leased job, from its first step to the transaction that ends it. Raises nothing: a failure is a report."""
    processor_began = time.process_time()
    dialect = TableDialect(policy.header, policy.separator, policy.decimal, policy.encoding)
    deadline = time.monotonic() + policy.seconds("timeout")
    try:
        with (
            disk_space(store.registry),
            _lease_renewed(store, job, deadline, lease) as progress,
            interrupt(job, policy),
            use_dialect(dialect) if dialect != UNSTATED else nullcontext(),
        ):
            state, digest = read_maintenance_state(store, job.name)
            context = JobContext(store, policy, job, clock.current_seconds(), state, digest, progress, deadline)
            ended = run_update(context) if job.kind is JobKind.UPDATE else _check(context)
            if ended is not None:
                ended.check_time()
                _end(ended, time.process_time() - processor_began)
    except LeaseLost as error:
        logger.warning("The %s of %s was taken over by another worker.", job.kind, job.name)
        return _report(job, "lost", JobOutcome(notes=(error.message,)))
    except Exception as error:
        logger.exception("The %s of %s failed.", job.kind, job.name)
        return _fail(store, policy, job, error, time.process_time() - processor_began)
    done = next(j for j in store.list_jobs(job.name) if j.number == job.number)
    return _report(job, "done", done.outcome or JobOutcome())


def _check(context: JobContext) -> JobContext:
    for name in context.policy.steps:
        context.check_time()
        context = STEPS.load(name)(context)
    return context


def _end(context: JobContext, seconds: float) -> None:
    """Everything that the steps did counts from here on, at once; or not at all."""
    state = context.state.with_spent(month_of(context.now), seconds)
    outcome = dataclasses.replace(context.outcome, compute_seconds=seconds)
    moves = [*context.moves, Move(ALIAS, write_maintenance_state(context.store, state), context.digest)]
    context.store.commit_moves(context.name, moves, context.events, Done(context.job, outcome, context.due))


def _fail(store: Store, policy: Policy, job: Job, error: Exception, seconds: float) -> JobReport:
    """Tries again later, with longer and longer waits, where another attempt can help; else the job is dead."""
    message = error.message if isinstance(error, EvermodelError) else f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))[-MOST_TRACEBACK:]
    is_last = job.attempts > policy.retries or not can_be_retried(error)
    wait = min(policy.seconds("back_off") * 2 ** (job.attempts - 1), LONGEST_WAIT)
    plan = "given up" if is_last else f"again in {wait:,.0f} s (attempt {job.attempts} of {policy.retries + 1})"
    problem = JobError(type(error).__name__, message, trace)
    outcome = JobOutcome(notes=(message, plan), compute_seconds=seconds, error=problem)
    try:
        store.fail_job(job, outcome, after=None if is_last else clock.current_seconds() + wait)
    except EvermodelError as further:  # a full disk, or the lease is gone: the lease ends by itself
        logger.warning("The failure of the %s of %s could not be recorded.", job.kind, job.name, exc_info=True)
        return _report(job, "lost", dataclasses.replace(outcome, notes=(message, further.message)))
    return _report(job, JobState.DEAD if is_last else "again", outcome)


def can_be_retried(error: Exception) -> bool:
    """Whether the same job may go well later: what a person mends, or the machine, the network or the database.

    An error of a program (TypeError, KeyError …) stays the same however often it is tried.
    """
    from sqlalchemy.exc import DBAPIError

    return isinstance(error, (EvermodelError, OSError, MemoryError, DBAPIError))


def _report(job: Job, state: str, outcome: JobOutcome) -> JobReport:
    return JobReport(job.name, job.kind, job.due, job.reasons, state, outcome, job.attempts)


@contextmanager
def _lease_renewed(store: Store, job: Job, deadline: float, lease: float) -> Iterator[Callable[[str], None]]:
    """Renews the lease from a thread of its own until ``deadline``; gives the function that reports progress.

    Once the deadline has passed the lease ends by itself, and whatever the job still does is refused.
    """
    ended, latest = threading.Event(), [""]
    current_clock = clock.current_clock()

    def renew() -> None:
        while not ended.wait(lease / 3) and time.monotonic() < deadline:
            try:
                store.renew_lease(job, until=current_clock().timestamp() + lease, progress=latest[0])
            except EvermodelError:
                logger.warning("The lease of the %s of %s was not renewed.", job.kind, job.name, exc_info=True)

    def report_progress(words: str) -> None:
        latest[0] = words

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield report_progress
    finally:
        ended.set()
        thread.join()
