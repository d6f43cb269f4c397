"""Where a registry is, and which names a model may have."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evermodel.core import clock
from evermodel.core.errors import AskedWrongly, BadSetting, Damaged, NotFound
from evermodel.core.plugins import find_recognizing
from evermodel.core.records.event import Event, EventData, EventKind
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import SETUP_NAME, STORES, Store, StoreModule

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def open_store(registry: str | Path | Store | None = None) -> Store:
    """The store in ``registry``, in EVERMODEL_REGISTRY, or in ``.evermodel`` here; a store that is open is taken as it
    is."""
    if registry is not None and not isinstance(registry, (str, Path)):
        return registry
    named = str(registry or os.environ.get("EVERMODEL_REGISTRY") or "")
    location = named if "://" in named else str(registry_folder(registry))
    if not named and "EVERMODEL_STORE" not in os.environ and (Path(location) / SETUP_NAME).is_file():
        raise BadSetting(
            f"{Path(location) / SETUP_NAME} sends this registry's files and database elsewhere, and may name secrets. "
            "It is not followed in a registry that was only found here.",
            "If it is yours, name it: --registry .evermodel, or EVERMODEL_REGISTRY=.evermodel",
        )
    return STORES.load(_store_name(location))(location)


def find_store(location: str) -> StoreModule:
    """The module of the store plugin that opens the registry at ``location``."""
    return STORES.load_module(_store_name(location))


def _store_name(location: str) -> str:
    """The store plugin that opens the registry at ``location``: the one that is surest that it is one of its own."""
    names = find_recognizing(STORES, location)
    if not names:
        raise BadSetting(
            f"No store can keep a registry at {location!r}.",
            f"Give a folder, or install the package that brings a store for it. There is: {', '.join(STORES.names())}.",
        )
    if len(names) > 1:
        raise BadSetting(f"Several stores can keep the registry at {location!r}: {', '.join(names)}.", "Uninstall one.")
    return names[0]


def registry_folder(registry: str | Path | None = None) -> Path:
    """The registry's absolute path, whether it is there or not; of a URL, the local folder that stands for it."""
    named = str(registry or os.environ.get("EVERMODEL_REGISTRY") or ".evermodel")
    return open_store(named).registry if "://" in named else Path(named).expanduser().absolute()


def check_name(name: object) -> str:
    """The name itself if a model may be called so; it becomes a folder, so nothing else can hide in it."""
    if not isinstance(name, str):
        own = getattr(name, "name", None)
        raise AskedWrongly(
            f"A model is called by its name, a text. Got a {type(name).__name__}.",
            f"Give {own!r}." if isinstance(own, str) else "Give the name that it was adopted under.",
        )
    if not NAME.fullmatch(name) or ".." in name:
        raise AskedWrongly(
            f"A model's name must be letters, digits, '.', '_' and '-', at most 100. Got {name[:60]!r}.",
            "Give the model such a name.",
        )
    return name


def champion_of(store: Store, name: str) -> VersionCard:
    """The card of the version in service. Raises NotFound, listing the models there are."""
    version = store.resolve_alias(check_name(name), "champion")
    if version is None and store.resolve_alias(name, "waiting") is not None:
        raise AskedWrongly(
            f"{name} waits for its first labelled rows: what its file expects is not known yet.",
            f"'evermodel update {name} DATA' completes the adoption: its oldest rows stand in for the training rows.",
        )
    if version is None:
        raise NotFound.among("model", name, store.list_models(), "'evermodel adopt' makes one.")
    try:
        return store.read_card(name, version)
    except NotFound:
        raise Damaged(
            f"The champion of {name} is {version[:20]!r}, which is not there.", f"evermodel doctor {name} --repair"
        ) from None


def is_pending(store: Store, name: str) -> bool:
    """Whether a model of that name waits for its first labelled rows. Raises AskedWrongly for a name no model has."""
    name = check_name(name)
    return store.resolve_alias(name, "champion") is None and store.resolve_alias(name, "waiting") is not None


def card_of(store: Store, name: str, version: str | None) -> VersionCard:
    """The card of ``version`` ("v3", "champion"), or of the version in service."""
    if version in (None, "champion"):
        return champion_of(store, name)
    champion_of(store, name)
    return store.read_card(name, str(version))


def now() -> str:
    return clock.current_time().isoformat(timespec="seconds")


def event(name: str, kind: EventKind, data: EventData) -> Event:
    """An event that happens now."""
    return Event(name, kind, now(), data)
