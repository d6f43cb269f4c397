"""Something a person should know, told once."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("ok", "warning", "critical")


@dataclass(frozen=True)
class Notice:
    """``key`` is the same as long as it is the same matter: a notifier is asked once for a key and level.

    ``next_command``: what to type now. ``since``: ISO 8601, UTC.
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
        facts = [f"{k}: {v}" for k, v in self.evidence.items()]
        since = [f"since {self.since}"] if self.since else []
        return "\n".join([self.title(), *since, *facts, *([f"$ {self.next_command}"] if self.next_command else [])])

    def to_json(self) -> str:
        told = dataclasses.asdict(self)
        told["evidence"] = {k: _known(v) for k, v in self.evidence.items()}
        return json.dumps(told, sort_keys=True, default=str)


def _known(value: Any) -> Any:
    """A number that JSON cannot hold becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
