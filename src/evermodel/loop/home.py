"""Where a home is, and which names a model may have."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evermodel.core import clock, plugs
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.core.store import Card, Event, Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def open_home(home: str | Path | Store | None = None) -> Store:
    """The store in ``home``, in EVERMODEL_HOME, or in ``.evermodel`` here; a store that is open is taken as it is."""
    if home is not None and not isinstance(home, (str, Path)):
        return home
    store: Store = plugs.function("stores", "sql")(home_folder(home))
    return store


def home_folder(home: str | Path | None = None) -> Path:
    """The home's absolute path, whether it is there or not."""
    return Path(home or os.environ.get("EVERMODEL_HOME") or ".evermodel").expanduser().absolute()


def checked_name(name: str) -> str:
    """The name itself if a model may be called so; it becomes a folder, so nothing else can hide in it."""
    if not NAME.fullmatch(name) or ".." in name:
        raise AskedWrongly(
            f"A model's name must be letters, digits, '.', '_' and '-', at most 100. Got {name[:60]!r}.",
            "Give one with --name.",
        )
    return name


def champion_of(store: Store, name: str) -> Card:
    """The card of the version in service. Raises NotFound, listing the models there are."""
    version = store.at(checked_name(name), "champion")
    if version is None and store.at(name, "waiting") is not None:
        raise AskedWrongly(
            f"{name} waits for its first labelled rows: what its file expects is not known yet.",
            f"'evermodel update {name} DATA' completes the adoption: its oldest rows stand in for the training rows.",
        )
    if version is None:
        raise NotFound.among("model", name, store.models(), "'evermodel adopt' makes one.")
    return store.card(name, version)


def card_of(store: Store, name: str, version: str | None) -> Card:
    """The card of ``version`` ("v3", "champion"), or of the version in service."""
    if version in (None, "champion"):
        return champion_of(store, name)
    champion_of(store, name)
    return store.card(name, str(version))


def now() -> str:
    return clock.moment().isoformat(timespec="seconds")


def event(name: str, kind: str, facts: Mapping[str, Any]) -> Event:
    return Event(name, kind, now(), facts)
