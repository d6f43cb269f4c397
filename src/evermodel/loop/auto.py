"""Which recipes an update tries, and which of them it trusts: the robust default, left only for pooled evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core import plugs
from evermodel.core.settings import read_settings
from evermodel.loop.prepare import Prepared


@dataclass(frozen=True)
class Recipe:
    """A change with its settings, and how its winner is finished on the judged rows (None: by the same again)."""

    change: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    finish: Recipe | None = None


def recipes(prepared: Prepared, change: str, settings: Mapping[str, Any]) -> tuple[Recipe, ...]:
    """What to try; the first is the one that is judged."""
    if change != "auto":
        checked = read_settings(plugs.function("updates", change), settings)
        return (Recipe(change, checked),)
    if prepared.champion.needs.network:
        return (Recipe("replay" if prepared.kept is not None else "resume"),)
    return (Recipe("refit", {"half_life": 4.0}),)
