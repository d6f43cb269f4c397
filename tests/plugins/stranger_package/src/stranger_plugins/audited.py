"""A store that writes every change of a registry into a file that only grows, for auditors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from evermodel.core.plugins import Confidence
from evermodel.core.records.event import Event
from evermodel.core.records.job import Done
from evermodel.core.store import Move
from evermodel.plugins.stores._sql.setup import read_setup
from evermodel.plugins.stores.sql import SqlStore

SCHEME = "audited://"


def recognize(location: str, /) -> Confidence:
    """Locations such as ``audited:///srv/models``: the scheme says so."""
    return Confidence.CERTAIN if location.startswith(SCHEME) else Confidence.NO


def audited(location: str, /) -> AuditedStore:
    """The registry in the folder behind ``audited://``, with an ``audit.jsonl`` in it."""
    folder = Path(location.removeprefix(SCHEME))
    return AuditedStore(folder, read_setup(folder))


class AuditedStore(SqlStore):
    """The usual store; what was committed is appended to the file afterwards, one line a commit."""

    def commit_moves(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        """Raises as the usual store does; nothing is written then."""
        super().commit_moves(name, moves, events, done)
        line = {"model": name, "moves": {m.alias: m.to for m in moves}, "events": [str(e.kind) for e in events]}
        with (self.registry / "audit.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
