"""What a job's steps hand on to one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evermodel.core.job import Job
from evermodel.core.policy import Policy
from evermodel.core.store import Event, Move, Store
from evermodel.loop._maintain.memory import Remembered
from evermodel.loop.home import event


@dataclass(frozen=True)
class Turn:
    """One job while it is done. A step takes it and gives it on, changed; nothing counts before the job ends."""

    store: Store
    policy: Policy
    job: Job
    now: float  # Unix seconds, when the job began
    memory: Remembered
    digest: str | None  # of the memory as it was read: who was first meanwhile is seen by it
    progress: Callable[[str], None]
    fresh: tuple[pl.DataFrame, ...] = ()  # rows whose labels came with this job
    delivered: tuple[tuple[Any, str], ...] = ()  # sources that came with this job, and what they hold
    due: tuple[Job, ...] = ()
    moves: tuple[Move, ...] = ()
    events: tuple[Event, ...] = ()
    said: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.job.name

    def saying(self, *words: str, **facts: Any) -> Turn:
        """With something said of what was done."""
        return dataclasses.replace(self, said=(*self.said, *words), facts={**self.facts, **facts})

    def remembering(self, **changes: Any) -> Turn:
        return dataclasses.replace(self, memory=dataclasses.replace(self.memory, **changes))

    def happened(self, kind: str, **facts: Any) -> Turn:
        """With an event, appended when the job ends."""
        return dataclasses.replace(self, events=(*self.events, event(self.name, kind, facts)))
