"""Promote and roll back: both are one move of a pointer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evermodel.core.errors import AskedWrongly
from evermodel.core.records.event import SERVING, Actor, ChampionMoved, Event, EventKind
from evermodel.core.store import Move, Store
from evermodel.registry.lookup import champion_of, event, open_store
from evermodel.registry.results import PromoteResult
from evermodel.registry.versions import load_version


def promote(name: str, version: str, *, registry: str | Path | None = None) -> PromoteResult:
    """Put ``version`` in service, whatever its verdict was: a person decided. It is loaded first, to see that it loads.

    Raises NotFound, Damaged, Moved; then nothing is changed.

        $ evermodel promote churn v3
    """
    return _move(open_store(registry), name, version, EventKind.PROMOTED_BY_HAND)


def rollback(name: str, *, to: str | None = None, registry: str | Path | None = None) -> PromoteResult:
    """Put back the version that was in service before, or the one named by ``to``.

    Raises AskedWrongly where there was none before, NotFound, Damaged, Moved.

        $ evermodel rollback churn
    """
    store = open_store(registry)
    return _move(store, name, to or _before(store, name), EventKind.ROLLED_BACK)


def _move(store: Store, name: str, version: str, kind: EventKind) -> PromoteResult:
    was = champion_of(store, name).version
    card = store.read_card(name, version)
    if version == was:
        raise AskedWrongly(f"{name} serves {version} already.", f"'evermodel show {name}' lists its versions.")
    load_version(store, card)
    moved = event(name, kind, ChampionMoved(version, was, Actor.HAND))
    store.commit_moves(name, [Move("champion", version, was)], [moved])
    return PromoteResult(name, was, version, "rolled back" if kind is EventKind.ROLLED_BACK else "promoted")


def _before(store: Store, name: str) -> str:
    """The version that served before the one that serves now, as the log tells it."""
    served = list_served_versions(store.read_events(name))
    if len(served) < 2:
        champion = champion_of(store, name).version
        raise AskedWrongly(f"{name} has only ever served {champion}; there is nothing to go back to.")
    return served[-2]


def before(log: Sequence[Event]) -> set[str]:
    """The version that served before the one that serves now; empty where there was none."""
    return set(list_served_versions(log)[-2:-1])


def list_served_versions(log: Sequence[Event]) -> list[str]:
    """The versions that served, the newest last; what was rolled back is not among them."""
    served: list[str] = []
    for past in log:
        version = past.version
        if past.kind is EventKind.ROLLED_BACK and version in served:
            served = served[: served.index(version) + 1]
        elif past.kind in SERVING:
            served.append(version)
    return served
