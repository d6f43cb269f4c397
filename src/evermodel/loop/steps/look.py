"""Lets the monitor see what was delivered."""

from __future__ import annotations

from typing import Any

from evermodel.core.errors import AskedWrongly
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.watching import watch

__all__ = ["look"]


def look(turn: Turn) -> Turn:
    """Gives rows (or, where there are, predictions) and labels to ``watch``; a delivery seen before changes nothing."""
    home: Any = turn.store
    rows = "predictions" if turn.policy.predictions else "rows"
    for source, what in turn.delivered:
        if what not in (rows, "labels"):
            continue
        turn.progress(f"watching {source}")
        how = {"data": source} if what == rows else {"labels": source}
        try:
            seen = watch(turn.name, id=turn.policy.id or None, home=home, **how)
        except AskedWrongly as error:
            turn = turn.saying(f"not watched, {source}: {error.message}")
            continue
        opened = seen.monitored.open[: seen.opened]
        turn = turn.saying(*(f"alarm: {a.name} of {a.subject}: {a.cause}" for a in opened))
    return turn
