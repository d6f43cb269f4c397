"""Makes challengers by a recipe, holds them beside doing nothing, and finishes the winner."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core import plugs
from evermodel.core.change import Context, Split
from evermodel.core.errors import EvermodelError
from evermodel.core.judgement import PairedScores
from evermodel.core.model import Model
from evermodel.core.store import Event, Store
from evermodel.core.table import Array, Table
from evermodel.core.training import Epoch
from evermodel.loop.auto import Recipe
from evermodel.loop.beside import with_former
from evermodel.loop.correct import CORRECTED, corrected
from evermodel.loop.fair_past import past_answers
from evermodel.loop.judging import (
    earlier_comparisons,
    last_seen_predictions,
    pair,
    shown_worse,
    trivial_predictions,
)
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import Candidate

FINISH_TOLERANCE = 0.02  # the finished model may lose that much of the main metric on rows known before


@dataclass(frozen=True)
class Made:
    """A model that a recipe made, how long it took, and its learning curve."""

    recipe: Recipe
    model: Model
    seconds: float
    curve: tuple[Epoch, ...]
    processor: float = 0.0  # processor seconds of this process: what a busy machine adds is not in them
    beside: str = ""  # the role of a former model that stands beside it
    remarks: tuple[str, ...] = ()  # what the user should know of it


def make(recipe: Recipe, prepared: Prepared, context: Context) -> Made:
    """The challenger that the judge will see: made without the judged rows, which are only watched."""
    split = dataclasses.replace(prepared.split(), tuning=prepared.judging)
    return _made(recipe, prepared, [prepared.parent], split, context, corrects=prepared.learnable)


def finished(
    store: Store, prepared: Prepared, judged: Made, context: Context, metric: str | None = None
) -> Made | None:
    """The winner trained with the judged rows as well; None where it then does worse on rows known before.

    ``metric``: by which a former model may be shown worse than the winner (see ``with_former``).
    """
    split = dataclasses.replace(prepared.whole(), tuning=prepared.past)
    every = np.ones(len(prepared.new), dtype=bool)
    if judged.recipe.finish is None:
        made = _made(judged.recipe, prepared, [prepared.parent], split, context, corrects=every)
    else:
        recipe = dataclasses.replace(judged.recipe.finish, corrected=judged.recipe.corrected)
        made = _made(recipe, prepared, [judged.model, prepared.parent], split, context, corrects=every)
    role = judged.recipe.beside
    both = role and with_former(store, prepared, made.model, judged.model, role, metric)
    if both:
        made = dataclasses.replace(made, model=both.model, beside=role, remarks=(both.remark,))
    if prepared.past is None or not len(prepared.past):
        return made
    return None if shown_worse(made.model, judged.model, prepared.past, by=FINISH_TOLERANCE) else made


def _made(
    recipe: Recipe, prepared: Prepared, parents: Sequence[Model], split: Split, context: Context, *, corrects: Array
) -> Made:
    began, worked, curve = time.monotonic(), time.process_time(), list[Epoch]()

    def hear(epoch: Epoch) -> None:
        curve.append(epoch)
        context.on_epoch(epoch)

    told = dataclasses.replace(context, on_epoch=hear)
    model = told.change(recipe.change, parents, split, **recipe.settings)
    forerunner = prepared.card.facts.get("finished") and prepared.card.change == recipe.change  # another errs otherwise
    if recipe.corrected and forerunner and model.contract.task in CORRECTED:
        y = prepared.champion.target(prepared.new)
        model = corrected(model, prepared.foretold[corrects], y[corrects])
    return Made(recipe, model, time.monotonic() - began, tuple(curve), time.process_time() - worked)


def paired(log: Sequence[Event], prepared: Prepared, made: Made, rows: Table, metric: str | None) -> PairedScores:
    """Champion and challenger on ``rows`` and on rows known before; ``log`` tells what former updates showed."""
    known = prepared.split()
    skills = [e.facts["skill"] for e in log if e.facts.get("skill") is not None]
    stood, past = prepared.past_champion, prepared.past
    return pair(
        prepared.champion,
        made.model,
        rows,
        past,
        past_answers=None if stood is None or past is None else past_answers(prepared.champion, stood, past),
        metric=metric,
        earlier=earlier_comparisons(log, made.recipe.change),
        series=not prepared.card.facts.get("shuffled"),
        trivial=trivial_predictions(made.model, known.kept or known.new, rows),
        usual_skill=float(np.mean(skills)) if skills else None,
    )


def candidates(
    prepared: Prepared, made: Sequence[Made], chosen: Made, rows: Table, metric: str, context: Context
) -> tuple[Candidate, ...]:
    """What doing nothing, recalibrating only, the last value seen and each challenger scored on ``rows``."""
    y = chosen.model.target(rows)
    found = [Candidate("none", {}, score_of(metric, y, prepared.champion.predict(rows.frame)), 0.0)]
    began = time.monotonic()
    try:
        light = context.change("recalibrate", [prepared.champion], prepared.split())
        p = light.predict(rows.frame)
        found.append(Candidate("recalibrate", {}, score_of(metric, y, p), time.monotonic() - began))
    except EvermodelError as error:
        found.append(Candidate("recalibrate", {}, float("nan"), time.monotonic() - began, note=error.message))
    if not prepared.card.facts.get("shuffled") and prepared.new.roles.entity is None and len(y) > 1:
        p = last_seen_predictions(chosen.model, rows)
        note = "each row's label must be known before the next row comes"
        found.append(Candidate("last value seen", {}, score_of(metric, y[1:], p), 0.0, note=note))
    for one in made:
        score = score_of(metric, y, one.model.predict(rows.frame))
        found.append(Candidate(one.recipe.change, one.recipe.settings, score, one.seconds, chosen=one is chosen))
    return tuple(found)


def score_of(metric: str, y: Array, p: Array) -> float:
    """One metric on one set of predictions."""
    return float(plugs.function("metrics", metric)(y, p))
