"""A person decides on a challenger that the policy let wait."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core import clock
from evermodel.core.errors import AskedWrongly
from evermodel.core.store import Move
from evermodel.loop._maintain.memory import ALIAS, Probation, keep, read
from evermodel.loop._maintain.planning import policy_of
from evermodel.loop.home import champion_of, event, open_home
from evermodel.loop.memory import read_memory
from evermodel.loop.results import Shown
from evermodel.loop.versions import load_version


@dataclass(frozen=True)
class Approved(Shown):
    """What was decided, and which version serves now."""

    name: str
    version: str
    decision: str  # "promoted" | "declined"
    was: str
    serving: str
    reasons: tuple[str, ...]

    def lines(self) -> list[str]:
        return [f"{self.decision}: {self.name} {self.version} (serving {self.serving}, was {self.was})",
                *(f"  because  {r}" for r in self.reasons)]  # fmt: skip


def approve(name: str, version: str | None = None, *, reject: bool = False, home: str | Path | None = None) -> Approved:
    """Put the challenger that waits in service, on probation as any other; or decline it with ``reject``.

    ``version``: only if it is this one. Raises AskedWrongly where none waits, Moved where the champion it was judged
    against no longer serves.

        $ evermodel approve churn v7
    """
    store = open_home(home)
    champion = champion_of(store, name).version
    memory, digest = read(store, name)
    waits = memory.pending
    if waits is None:
        raise AskedWrongly(f"No challenger of {name} waits for a decision.", f"'evermodel log {name}' tells what was.")
    if version is not None and version != waits["version"]:
        raise AskedWrongly(f"{name} {waits['version']} waits, not {version}.", f"evermodel approve {name}")
    chosen, against = str(waits["version"]), str(waits["champion"])
    moves = [Move("champion", against if reject else chosen, against)]
    probation: Any = memory.probation
    if not reject:
        load_version(store, store.card(name, chosen))
        until = clock.seconds() + policy_of(store, name)[0].seconds("probation")
        probation = Probation(chosen, against, until, max(0, read_memory(store, name).next_number - 1))
    memory = dataclasses.replace(memory, pending=None, probation=probation)
    moves.append(Move(ALIAS, keep(store, memory), digest))
    kind = "declined" if reject else "promoted"
    facts = {"version": chosen, "was": against, "by": "approval", "reasons": list(waits["policy"])}
    store.point(name, moves, [event(name, kind, facts)])
    return Approved(name, chosen, kind, champion, against if reject else chosen, tuple(waits["policy"]))
