"""Which recipe an update follows: one robust recipe a kind of model, measured on real streams (bench/streams.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core import plugs
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Combining
from evermodel.core.judging import Goal
from evermodel.core.settings import read_settings
from evermodel.loop.prepare import Prepared


@dataclass(frozen=True)
class Recipe:
    """A change with its settings, and how its winner is finished on the judged rows (None: by the same again).

    ``corrected``: the output is moved part of the way along which its forerunner's erred (loop/correct.py). ``goal``:
    what the judge asks.
    """

    change: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    finish: Recipe | None = None
    corrected: bool = False
    goal: Goal = "better"


BLEND = Recipe("blend", finish=Recipe("blend", {"finishing": True}), corrected=True, goal="refreshed")
HALVES = Recipe("halves", {"window": 3}, corrected=True, goal="refreshed")
PICTURES = Recipe("refit", {"half_life": 2.0, "mix": 0.5}, goal="refreshed")  # a blend was 7 points worse on signs
REFIT = Recipe("refit", {"half_life": 2.0, "mix": 0.5}, corrected=True, goal="refreshed")


def recipe(prepared: Prepared, change: str, settings: Mapping[str, Any]) -> Recipe:
    """The recipe to follow; for "auto" by the kind of model, for the rest what was asked, its settings checked."""
    if change == "auto" and settings:
        raise BadSetting(
            f"'auto' chooses its own settings. Got {', '.join(sorted(settings))}.", "Name the way too: --with replay."
        )
    if change != "auto":
        return Recipe(change, read_settings(plugs.function("updates", change), settings))
    if prepared.champion.needs.network:
        pictures = any(c.kind == "image" for c in prepared.champion.contract.columns)
        return PICTURES if pictures else BLEND
    boosted = isinstance(prepared.champion.framework, Combining) and hasattr(
        prepared.champion.framework, "refit_leaves"
    )
    return HALVES if boosted else REFIT
