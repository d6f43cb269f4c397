"""Stops a maintenance job in the middle of a stage once its time is over; in the command's own process only."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from evermodel.core.records.job import Job
from evermodel.core.records.maintenance_policy import Policy
from evermodel.maintenance.job_context import make_timeout_error


@contextmanager
def alarm_after_timeout(job: Job, policy: Policy) -> Iterator[None]:
    """Raises JobTimedOut after the policy's ``timeout``.

    Only the main thread of a process gets signals, and Windows has no such alarm: there a job is stopped between its
    stages.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise make_timeout_error(job, policy)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, policy.seconds("timeout"))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
