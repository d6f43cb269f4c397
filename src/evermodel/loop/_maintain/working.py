"""Does what is due: hands out jobs, keeps their lease alive, ends them once, tries again, gives up in words."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from evermodel.core import clock, plugs
from evermodel.core.errors import EvermodelError, LeaseLost
from evermodel.core.files import disk_space
from evermodel.core.job import Done, Job
from evermodel.core.policy import Policy
from evermodel.core.store import Move, Store
from evermodel.loop._maintain.fenced import fenced
from evermodel.loop._maintain.memory import ALIAS, keep, read
from evermodel.loop._maintain.turn import Turn
from evermodel.loop._maintain.updating import month_of, run_update

LEASE = 120.0  # seconds by the clock in use; renewed three times within it
LONGEST = 86_400.0  # seconds between two attempts, at most
ROOM = "loop.steps"


class TimedOut(EvermodelError):
    """A job took longer than its policy allows."""


@dataclass(frozen=True)
class Report:
    """What became of one job."""

    name: str
    kind: str
    due: str
    why: str
    state: str  # "done" | "again" | "dead" | "lost" | "due" (a dry run)
    decision: str | None = None
    said: tuple[str, ...] = ()
    attempts: int = 0
    compute_seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


def run(store: Store, policy: Policy, job: Job, lease: float = LEASE) -> Report:
    """One leased job, from its first step to the transaction that ends it. Raises nothing: a failure is a report."""
    began = time.process_time()
    try:
        with disk_space(store.home), _alive(store, job, policy, lease) as progress:
            guarded = fenced(store, job)
            turn = Turn(guarded, policy, job, clock.seconds(), *read(store, job.name), progress)
            turn = turn if job.kind == "update" else _checked(turn)
            ended = run_update(dataclasses.replace(turn, store=store)) if job.kind == "update" else turn
            if ended is not None:
                _end(ended, time.process_time() - began)
    except LeaseLost as error:
        return _report(job, "lost", (error.message,), began)
    except Exception as error:
        return _failed(store, policy, job, error, began)
    outcome = next(j.outcome for j in store.jobs(job.name) if j.number == job.number)
    return _report(job, "done", tuple(outcome["said"]), began, outcome)


def _checked(turn: Turn) -> Turn:
    for name in turn.policy.steps:
        turn = plugs.function(ROOM, name)(turn)
    return turn


def _end(turn: Turn, seconds: float) -> None:
    """Everything that the steps found out counts from here on, at once; or not at all."""
    memory = turn.memory.heavier(month_of(turn.now), seconds)
    outcome = {"decision": None, **turn.facts, "said": list(turn.said), "compute_seconds": seconds}
    moves = [*turn.moves, Move(ALIAS, keep(turn.store, memory), turn.digest)]
    turn.store.point(turn.name, moves, turn.events, Done(turn.job, outcome, turn.due))


def _failed(store: Store, policy: Policy, job: Job, error: Exception, began: float) -> Report:
    what = str(error) if isinstance(error, EvermodelError) else f"{type(error).__name__}: {error}"
    last = job.attempts > policy.retries
    wait = min(policy.seconds("back_off") * 2 ** (job.attempts - 1), LONGEST)
    try:
        store.fail(job, {"error": what, "said": [what]}, after=None if last else clock.seconds() + wait)
    except EvermodelError as further:  # a full disk, or the lease is gone: the lease ends by itself
        return _report(job, "lost", (what, further.message), began)
    told = (what, "given up" if last else f"again in {wait:,.0f} s (attempt {job.attempts} of {policy.retries + 1})")
    return _report(job, "dead" if last else "again", told, began)


def _report(
    job: Job, state: str, said: tuple[str, ...], began: float, outcome: Mapping[str, Any] | None = None
) -> Report:
    facts = {k: v for k, v in (outcome or {}).items() if k not in ("said", "decision", "compute_seconds")}
    spent = time.process_time() - began
    decision = (outcome or {}).get("decision")
    return Report(job.name, job.kind, job.due, job.why, state, decision, said, job.attempts, spent, facts)


@contextmanager
def _alive(store: Store, job: Job, policy: Policy, lease: float) -> Iterator[Callable[[str], None]]:
    """Renews the lease from a thread of its own until the job's time is over; then the job is interrupted."""
    ended, said = threading.Event(), [""]
    limit = time.monotonic() + policy.seconds("timeout")
    asked = clock.current()

    def beat() -> None:
        while not ended.wait(lease / 3) and time.monotonic() < limit:
            with suppress(EvermodelError):
                store.beat(job, until=asked().timestamp() + lease, progress=said[0])

    def progress(words: str) -> None:
        said[0] = words

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        with _interrupted(policy.seconds("timeout"), job):
            yield progress
    finally:
        ended.set()
        thread.join()


@contextmanager
def _interrupted(seconds: float, job: Job) -> Iterator[None]:
    """Raises TimedOut in the main thread after ``seconds``; elsewhere only the lease ends: its effects are refused."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TimedOut(f"The {job.kind} of {job.name} took longer than {seconds:,.0f} s.", "Raise timeout, or budget.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
