"""Finds plugs: a plug's name is its file's name; outsiders add theirs by an entry point of the same group."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from functools import cache
from typing import Any

from evermodel.core.errors import NotFound


@cache
def names(room: str) -> tuple[str, ...]:
    """Names of all plugs in a room (``"updates"``), its own and those of installed packages, sorted. Imports none."""
    spec = importlib.util.find_spec(f"evermodel.{room}")
    places = list(spec.submodule_search_locations or ()) if spec else []
    own = {m.name for m in pkgutil.iter_modules(places) if not m.name.startswith("_")}
    return tuple(sorted(own | set(_outside(room))))


@cache
def module(room: str, name: str) -> Any:
    """The module of the plug ``name`` in ``room``. Raises NotFound, listing what there is."""
    if name not in names(room):
        raise NotFound.among(f"plug in {room}/ named", name, names(room))
    outside = _outside(room).get(name)
    if outside is not None:
        return outside.load()
    return importlib.import_module(f"evermodel.{room}.{name}")


def function(room: str, name: str) -> Any:
    """The plug itself: the function of the module that has the module's name (``updates/replay.py: replay``)."""
    return getattr(module(room, name), name)


@cache
def _outside(room: str) -> dict[str, importlib.metadata.EntryPoint]:
    return {e.name: e for e in importlib.metadata.entry_points(group=f"evermodel.{room}")}
