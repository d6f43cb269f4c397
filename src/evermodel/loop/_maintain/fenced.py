"""The store as a job sees it: whatever it writes is refused once another worker has taken the job over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from evermodel.core.job import Done, Job
from evermodel.core.store import Event, Move, Store

Ending = Callable[[Sequence[Move], Sequence[Event]], tuple[Sequence[Move], Sequence[Event], Done] | None]


@dataclass(frozen=True)
class Fenced:
    """``ending`` may turn a move into the end of the job: the effect and the job's completion are one transaction."""

    _store: Store
    _job: Job
    _ending: Ending = lambda moves, events: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def point(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        last = self._ending(moves, events)
        if last is not None:
            moves, events, done = last
        self._store.point(name, moves, events, done or Done(self._job))


def fenced(store: Store, job: Job, ending: Ending = lambda moves, events: None) -> Store:
    """``store`` behind the job's fence."""
    return cast(Store, Fenced(store, job, ending))
