"""Which recipe an update follows: one robust recipe a kind of model, measured on real streams (bench/streams.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core import plugs
from evermodel.core.ensemble import BEFORE, DEPLOYED, Ensemble, newest
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Combining, LeafRefit, Stepping
from evermodel.core.judging import Goal
from evermodel.core.settings import read_settings
from evermodel.loop.prepare import Prepared


@dataclass(frozen=True)
class Recipe:
    """A change with its settings, and how its winner is finished on the judged rows (None: by the same again).

    ``corrected``: the output is moved part of the way along which its forerunner's erred (loop/correct.py). ``goal``:
    what the judge asks. ``beside``: who stays in service beside what is finished (loop/beside.py).
    """

    change: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    finish: Recipe | None = None
    corrected: bool = False
    goal: Goal = "better"
    beside: str = ""  # BEFORE or DEPLOYED of core/ensemble.py


CHOSEN = ("auto", "light", "lean")  # these choose the change and its settings by the kind of model
WINDOW = 3  # blocks that count as recent
EPOCHS = 20  # of a network trained anew
FEW_ROWS = 10_000  # as in updates/blend.py: fewer, and a network trained anew is one draw of luck
SHORTEST, LONGEST = 4, 8  # steps of 16 to 256 rows: what a count of steps may say of their length
FINISHED_BLEND = Recipe("blend", {"window": WINDOW, "finishing": True})
BLEND = Recipe("blend", {"window": WINDOW}, FINISHED_BLEND, corrected=True, goal="refreshed", beside=DEPLOYED)
FINISHED_HALVES = Recipe("halves", {"window": WINDOW, "finishing": True})
HALVES = Recipe("halves", {"window": WINDOW}, FINISHED_HALVES, corrected=True, goal="refreshed")
# A network of pictures is never done learning: going on with all rows by its own optimizer beat a training anew, and
# at three quarters of its time. A blend, with its few long steps, was seven points worse.
FINISHED_PICTURES = Recipe("replay", {"ratio": 100.0, "epochs": 2})
PICTURES = Recipe("replay", {"ratio": 100.0, "epochs": 5}, FINISHED_PICTURES, goal="refreshed")
REFIT = Recipe("refit", {"half_life": 2.0, "mix": 0.5}, corrected=True, goal="refreshed")
# As long as the window holds every row there is nothing old to drop, and rows are few: all of them, in full strength.
# What maintenance does between full trainings, and a full training that costs one instead of two: a booster's leaves
# follow the newest rows at a fourteenth of a training's cost (bench/maintain_year.py).
LEAVES = {"decay": 0.8}
LIGHT_BOOSTER = Recipe("leaf_refit", LEAVES, goal="refreshed")
LIGHT = Recipe("recalibrate", goal="refreshed")
LEAN_BOOSTER = Recipe("refit", finish=LIGHT_BOOSTER, goal="refreshed")
FIRST_BOOSTER = Recipe("refit", corrected=True, goal="refreshed")


def recipe(prepared: Prepared, change: str, settings: Mapping[str, Any]) -> Recipe:
    """The recipe to follow; for "auto" by the kind of model, for the rest what was asked, its settings checked."""
    if change in CHOSEN and settings:
        raise BadSetting(
            f"{change!r} chooses its own settings. Got {', '.join(sorted(settings))}.",
            "Name the way too: --with replay.",
        )
    if change not in CHOSEN:
        return Recipe(change, read_settings(plugs.function("updates", change), settings))
    leaves = isinstance(prepared.champion.framework, LeafRefit)
    if change == "light" and not _new_classes(prepared):
        return LIGHT_BOOSTER if leaves else LIGHT
    if change != "auto" and leaves:
        return LEAN_BOOSTER
    first = _window_holds_all(prepared)
    if prepared.champion.needs.network:
        if any(c.kind == "image" for c in prepared.champion.contract.columns):
            return PICTURES
        return _first_network(prepared) if first else BLEND
    boosted = isinstance(prepared.champion.framework, Combining) and hasattr(
        prepared.champion.framework, "refit_leaves"
    )
    if boosted:
        return FIRST_BOOSTER if first else HALVES
    return REFIT


def _first_network(prepared: Prepared) -> Recipe:
    """All rows anew, in steps as long as the deployed network's: its optimizer counted how many its training took."""
    settings = {"epochs": EPOCHS}
    champion, known = newest(prepared.champion), 0 if prepared.kept is None else len(prepared.kept)
    counted = champion.framework.steps(champion.obj) if isinstance(champion.framework, Stepping) else None
    if counted and known:
        power = round(math.log2(EPOCHS * known / counted))
        settings["batch_size"] = 2 ** min(max(power, SHORTEST), LONGEST)
    few = known + len(prepared.new) <= FEW_ROWS and not isinstance(champion.obj, Ensemble)
    former = BEFORE if few and not _new_classes(prepared) else DEPLOYED
    return Recipe("refit", settings, corrected=True, goal="refreshed", beside=former)


def _new_classes(prepared: Prepared) -> bool:
    """Whether classes came that the champion has no output for: then its leaves or output alone cannot learn them."""
    outputs = prepared.champion.needs.outputs
    return outputs is not None and len(prepared.champion.contract.classes) > max(outputs, 2)


def _window_holds_all(prepared: Prepared) -> bool:
    remembered = [b.number for b in prepared.memory.blocks if b.n_rows]
    return not remembered or min(remembered) > prepared.memory.next_number - WINDOW
