"""Something a person should know, sent once."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from evermodel.core.plugins import FunctionKind

LEVELS = ("ok", "warning", "critical")


@dataclass(frozen=True)
class Notice:
    """A message to people. Notices of one ``key`` are about the same matter: each is sent once a level.

    ``next_command``: the command to run next. ``since``: ISO 8601, UTC.
    """

    key: str
    subject: str  # what it is about: a model's name
    level: str
    what: str
    since: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    next_command: str = ""

    def title(self) -> str:
        """One line."""
        return " ".join(f"[{self.level}] {self.subject}: {self.what}".split())[:200]

    def text(self) -> str:
        """A few lines for a person."""
        evidence = [f"{k}: {v}" for k, v in self.evidence.items()]
        since = [f"since {self.since}"] if self.since else []
        return "\n".join([self.title(), *since, *evidence, *([f"$ {self.next_command}"] if self.next_command else [])])

    def to_json(self) -> str:
        """The notice as one line of JSON."""
        evidence = {k: _replace_non_finite(v) for k, v in self.evidence.items()}
        return json.dumps(dataclasses.asdict(self) | {"evidence": evidence}, sort_keys=True, default=str)


class Notifier(Protocol):
    """The function of a notifier plugin: delivers one notice. Raises NotDelivered where nobody received it."""

    __name__: str

    def __call__(self, notice: Notice, /, **settings: Any) -> None: ...


NOTIFIERS: FunctionKind[Notifier, ModuleType] = FunctionKind("notifiers", ModuleType)


def _replace_non_finite(value: Any) -> Any:
    """A number that JSON cannot hold becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
