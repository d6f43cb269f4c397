"""What becomes of a trial: how often it failed, and why it was stopped; one truth for all processes of a server."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any


class TrialOutcome:
    """Failures and the end of one trial. Several processes of a server share them through files.

    ``stopped`` is read for each request, so it is kept in memory; ``refresh`` reads what the others decided.
    """

    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        """``folder``: which the processes share; None: there is one process. ``key``: of the trial, in that folder."""
        self.stopped = ""
        self._failures = 0
        self._base = None if folder is None else folder / hashlib.sha256(key.encode()).hexdigest()[:24]
        self.refresh()

    def count_failure(self) -> int:
        """One more failure; how many there are now, those of other processes among them."""
        if self._base is None:
            self._failures += 1
            return self._failures
        descriptor = os.open(self._base.with_suffix(".failures"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, b".")  # a byte a failure: appending needs no lock
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def stop(self, reason: str) -> bool:
        """Ends the trial; whether it was this call that ended it. The reason that came first stays."""
        if self.stopped:
            return False
        if self._base is None:
            self.stopped = reason
            return True
        at = self._base.with_suffix(".stopped")
        own = at.with_suffix(f".{os.getpid()}")
        own.write_text(reason)
        try:
            os.link(own, at)  # whole or not at all, and only once
            first = True
        except FileExistsError:
            first = False
        finally:
            own.unlink(missing_ok=True)
        self.refresh()
        return first

    def refresh(self) -> None:
        """Takes in what another process decided."""
        if self._base is not None and not self.stopped:
            at = self._base.with_suffix(".stopped")
            self.stopped = at.read_text() if at.exists() else ""


class SharedTrials:
    """Where the processes of a server agree on its trials: which of them judges, and what became of each trial."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: one that all processes of the server share; None: there is one process."""
        self._folder = folder
        self._lock: Any = None

    def open_outcome(self, key: str) -> TrialOutcome:
        """The outcome of the trial with that key."""
        return TrialOutcome(self._folder, key)

    def judges_here(self) -> bool:
        """Whether this process compares versions and decides. It stays the one until it ends; then another is."""
        if self._folder is None or self._lock is not None:
            return True
        file = (self._folder / "judge.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._lock = file
        return True
