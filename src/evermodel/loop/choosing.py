"""Several ways to update named at once: all are made, one is chosen on part of the judged rows, the rest confirm it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core import plugs
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.judging import split_for_confirmation
from evermodel.core.settings import settings_of
from evermodel.core.table import Array
from evermodel.loop.auto import CHOSEN, Recipe, recipe
from evermodel.loop.judging import row_groups
from evermodel.loop.making import Made, score_of
from evermodel.loop.prepare import Prepared


@dataclass(frozen=True)
class Choice:
    """The challenger chosen among those made, the judged rows it was chosen on, and those that judge it."""

    made: tuple[Made, ...]
    chosen: Made
    choosing: Array  # positions among the judged rows
    confirming: Array


def recipes(prepared: Prepared, with_: str, settings: Mapping[str, Any]) -> list[Recipe]:
    """A recipe for each way in "refit,replay". ``settings`` go to every way that has them, "replay.keep" to one."""
    ways = [way.strip() for way in with_.split(",")]
    if len(set(ways)) < len(ways) or not all(ways):
        raise AskedWrongly(f"--with must name each way to update once: refit,replay. Got {with_!r}.")
    if len(ways) == 1:
        return [recipe(prepared, ways[0], settings)]
    own = {way: set() if way in CHOSEN else _names(way) for way in ways}
    for key in settings:
        way, dot, name = key.rpartition(".")
        if name not in (own.get(way, set()) if dot else set().union(*own.values())):
            raise BadSetting(f"None of {', '.join(ways)} has a setting {key!r}.", "Write --set WAY.KEY=VALUE for one.")
    return [recipe(prepared, way, _settings(way, own[way], settings)) for way in ways]


def choose(prepared: Prepared, made: Sequence[Made], metric: str | None) -> Choice:
    """The one with the best score on the older half of the judged rows; of equal ones the first.

    The best of several looks better than it is (EVIDENCE), so the newer half, which took no part in the choice, judges
    it. With one challenger nothing is chosen, and all judged rows judge.
    """
    rows = prepared.judging
    if len(made) == 1:
        every = np.arange(len(rows))
        return Choice(tuple(made), made[0], every, every)
    in_time = not prepared.card.facts.get("shuffled")
    choosing, confirming = split_for_confirmation(len(rows), row_groups(rows, series=False), in_time=in_time)
    name = metric or DEFAULT_METRIC[prepared.champion.contract.task]
    sign = 1.0 if plugs.module("metrics", name).HIGHER_IS_BETTER else -1.0
    part = rows.rows(choosing)
    scores = [sign * score_of(name, m.model.target(part), m.model.predict(part.frame)) for m in made]
    best = int(np.argmax(np.nan_to_num(np.array(scores), nan=-np.inf)))
    return Choice(tuple(made), made[best], choosing, confirming)


def _names(way: str) -> set[str]:
    return {s.name for s in settings_of(plugs.function("updates", way))}


def _settings(way: str, own: set[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    shared = {k: v for k, v in settings.items() if k in own}
    return shared | {k.removeprefix(f"{way}."): v for k, v in settings.items() if k.startswith(f"{way}.")}
