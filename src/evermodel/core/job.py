"""Work that is due for a model: each is there once, is done by one worker at a time, and takes effect once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENDED = ("done", "dead")


@dataclass(frozen=True)
class Job:
    """``name``, ``kind`` and ``due`` are its key: what is due once exists once, however many replicas say so.

    ``fence`` grows with every worker that takes it; whoever acts with an older one is refused. ``state``: "due",
    "running", "done", or "dead" (given up, with its reason in ``outcome``).
    """

    name: str
    kind: str  # "check" | "update"
    due: str  # ISO 8601, UTC
    why: str = ""
    state: str = "due"
    owner: str = ""
    until: float = 0.0  # Unix seconds by the clock handed in: when the lease ends
    after: float = 0.0  # not before; later after each failure
    fence: int = 0
    attempts: int = 0
    progress: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True)
class Done:
    """What is written in the same transaction as an effect: the job that had it, what came of it, what is due next.

    ``outcome`` None: the job goes on; its lease is only checked.
    """

    job: Job
    outcome: Mapping[str, Any] | None = None
    due: tuple[Job, ...] = ()
