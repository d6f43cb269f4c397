"""Promote and roll back: both are one move of a pointer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evermodel.core.errors import AskedWrongly
from evermodel.core.store import Event, Move, Store
from evermodel.loop.home import champion_of, event, open_home
from evermodel.loop.results import Pointed
from evermodel.loop.versions import load_version


def promote(name: str, version: str, *, home: str | Path | None = None) -> Pointed:
    """Put ``version`` in service, whatever its verdict was: a person decided. It is loaded first, to see that it loads.

    Raises NotFound, Damaged, Moved; then nothing is changed.

        $ evermodel promote churn v3
    """
    return _move(open_home(home), name, version, "promoted")


def rollback(name: str, *, to: str | None = None, home: str | Path | None = None) -> Pointed:
    """Put back the version that was in service before, or the one named by ``to``.

    Raises AskedWrongly where there was none before, NotFound, Damaged, Moved.

        $ evermodel rollback churn
    """
    store = open_home(home)
    return _move(store, name, to or _before(store, name), "rolled back")


def _move(store: Store, name: str, version: str, kind: str) -> Pointed:
    was = champion_of(store, name).version
    card = store.card(name, version)
    if version == was:
        raise AskedWrongly(f"{name} serves {version} already.", f"'evermodel show {name}' lists its versions.")
    load_version(store, card)
    facts = {"version": version, "was": was, "by": "hand"}
    store.point(name, [Move("champion", version, was)], [event(name, kind, facts)])
    return Pointed(name, was, version, kind)


def _before(store: Store, name: str) -> str:
    """The version that served before the one that serves now, as the log tells it."""
    served = served_in_turn(store.log(name))
    if len(served) < 2:
        champion = champion_of(store, name).version
        raise AskedWrongly(f"{name} has only ever served {champion}; there is nothing to go back to.")
    return served[-2]


def before(log: Sequence[Event]) -> set[str]:
    """The version that served before the one that serves now; empty where there was none."""
    return set(served_in_turn(log)[-2:-1])


def served_in_turn(log: Sequence[Event]) -> list[str]:
    """The versions that served, the newest last; what was rolled back is not among them."""
    served: list[str] = []
    for happened in log:
        if happened.kind in ("adopted", "promoted"):
            served.append(str(happened.facts["version"]))
        elif happened.kind == "rolled back":
            version = str(happened.facts["version"])
            served = served[: served.index(version) + 1] if version in served else [*served, version]
    return served
