"""Holds what tune, prune and fuse made against the champion, finishes the winner, and writes it down."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from evermodel.core.change import Context
from evermodel.core.judgement import Cost
from evermodel.core.judging import Goal, judge
from evermodel.core.store import Store
from evermodel.loop.arrival import with_suspicions
from evermodel.loop.auto import Recipe
from evermodel.loop.making import Made, candidates, finished, paired
from evermodel.loop.prepare import Prepared, data_facts
from evermodel.loop.record import record
from evermodel.loop.results import Updated
from evermodel.loop.second_look import Standing
from evermodel.loop.showing import shown_scores, told_reasons

R = TypeVar("R", bound=Updated)


@dataclass(frozen=True)
class Asked:
    """What the challenger is called in the log, and what the judge is asked of it."""

    change: str  # "tune", "prune", "fuse"
    settings: Mapping[str, Any]
    goal: Goal
    metric: str | None = None
    margin: float | None = None
    gates: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    costs: tuple[Cost, Cost] | None = None  # of champion and challenger, measured alike


def challenge(
    store: Store, prepared: Prepared, made: Made, asked: Asked, context: Context, *, finish: bool,
    dressed: Callable[[Updated], R], beside: Sequence[Made] = (),
) -> R:  # fmt: skip
    """Judges ``made`` on the judged rows, finishes it by its own recipe where it is promoted, records all of it.

    ``dressed`` adds what its room has to tell before it is written down; ``beside`` are shown as candidates. One look:
    a challenger that is held can be judged again by ``evermodel judge``. Raises Moved if the champion moved meanwhile.
    """
    standing = stood(store, prepared, made, asked)
    named, scores, verdict = standing.made, standing.scores, standing.verdict
    served = finished(store, prepared, made, context) if finish and verdict.decision == "promote" else None
    result = dressed(
        Updated(
            name=prepared.card.name,
            decision=verdict.decision,
            champion=prepared.card.version,
            challenger=None,
            change=asked.change,
            settings=asked.settings,
            metric=scores.metric,
            scores=shown_scores(scores),
            reasons=(*prepared.remarks, *told_reasons(verdict)),
            rows_needed=verdict.rows_needed,
            candidates=candidates(prepared, [named, *beside], named, prepared.judging, scores.metric, context),
            data=data_facts(prepared),
            finished=served is not None,
            training_seconds=made.seconds + (served.seconds if served else 0.0),
            in_service=prepared.card.version,
        )
    )
    return record(store, prepared, standing, served, result, context.seed)


def stood(store: Store, prepared: Prepared, made: Made, asked: Asked) -> Standing:
    """``made`` before the judge on the judged rows; nothing is written down."""
    named = dataclasses.replace(made, recipe=Recipe(asked.change, asked.settings, goal=asked.goal))
    scores = paired(store.log(prepared.card.name), prepared, named, prepared.judging, asked.metric)
    if asked.costs is not None:
        scores = dataclasses.replace(scores, champion_cost=asked.costs[0], challenger_cost=asked.costs[1])
    verdict = judge(scores, goal=asked.goal, margin=asked.margin, gates=asked.gates)
    verdict = with_suspicions(verdict, prepared.suspect)
    return Standing(named, scores, verdict, asked.margin)


def fields_of(updated: Updated) -> dict[str, Any]:
    """The fields of an Updated, for a result that has more."""
    return {f.name: getattr(updated, f.name) for f in dataclasses.fields(Updated)}
