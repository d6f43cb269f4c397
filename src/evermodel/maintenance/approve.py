"""A person decides on a challenger that the policy let wait."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from evermodel.core import clock
from evermodel.core.errors import AskedWrongly
from evermodel.core.records.event import Actor, ChampionMoved, EventKind
from evermodel.core.store import Move
from evermodel.maintenance.maintenance_state import ALIAS, Probation, read_maintenance_state, write_maintenance_state
from evermodel.maintenance.schedule_jobs import read_policy
from evermodel.registry.lookup import champion_of, event, open_store
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory
from evermodel.registry.versions import load_version


@dataclass(frozen=True)
class ApproveResult(Result):
    """What was decided, and which version serves now."""

    name: str
    version: str
    decision: str  # "promoted" | "declined"
    was: str
    serving: str
    reasons: tuple[str, ...]

    def lines(self) -> list[str]:
        return [
            f"{self.decision}: {self.name} {self.version} (serving {self.serving}, was {self.was})",
            *(f"  because  {r}" for r in self.reasons),
        ]


def approve(
    name: str, version: str | None = None, *, reject: bool = False, registry: str | Path | None = None
) -> ApproveResult:
    """Put the challenger that waits in service, on probation as any other; or decline it with ``reject``.

    ``version``: only if it is this one. Raises AskedWrongly where none waits, Moved where the champion it was judged
    against no longer serves.

        $ evermodel approve churn v7
    """
    store = open_store(registry)
    champion = champion_of(store, name).version
    state, digest = read_maintenance_state(store, name)
    pending = state.pending
    if pending is None:
        raise AskedWrongly(f"No challenger of {name} waits for a decision.", f"'evermodel log {name}' tells what was.")
    if version is not None and version != pending.version:
        raise AskedWrongly(f"{name} {pending.version} waits, not {version}.", f"evermodel approve {name}")
    chosen, against = pending.version, pending.champion
    objections = tuple(objection.describe() for objection in pending.objections)
    moves = [Move("champion", against if reject else chosen, against)]
    probation = state.probation
    if not reject:
        load_version(store, store.read_card(name, chosen))
        until = clock.current_seconds() + read_policy(store, name)[0].seconds("probation")
        probation = Probation(chosen, against, until, max(0, read_memory(store, name).next_number - 1))
    state = dataclasses.replace(state, pending=None, probation=probation)
    moves.append(Move(ALIAS, write_maintenance_state(store, state), digest))
    kind = "declined" if reject else "promoted"
    decided = event(
        name,
        EventKind.DECLINED if reject else EventKind.APPROVED,
        ChampionMoved(chosen, against, Actor.APPROVAL, objections),
    )
    store.commit_moves(name, moves, [decided])
    return ApproveResult(name, chosen, kind, champion, against if reject else chosen, objections)
