"""A store that moves a name although somebody else moved it meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evermodel.core.plugins import Confidence
from evermodel.core.records.event import Event
from evermodel.core.records.job import Done
from evermodel.core.store import Move
from evermodel.plugins.stores._sql.setup import read_setup
from evermodel.plugins.stores.sql import SqlStore


def recognize(location: str, /) -> Confidence:
    """Locations of its scheme."""
    return Confidence.CERTAIN if location.startswith("careless://") else Confidence.NO


def audited(location: str, /) -> CarelessStore:
    """The registry in the folder behind ``careless://``."""
    folder = Path(location.removeprefix("careless://"))
    return CarelessStore(folder, read_setup(folder))


class CarelessStore(SqlStore):
    """What the caller expects is not compared with what is there."""

    def commit_moves(self, name: str, moves: Sequence[Move], events: Sequence[Event], done: Done | None = None) -> None:
        """Every move is made."""
        moves = [dataclasses.replace(move, expect=self.resolve_alias(name, move.alias)) for move in moves]
        super().commit_moves(name, moves, events, done)
