"""New rows arrive: make a challenger, judge it, finish it, put the winner in service."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.judgement import PairedScores
from evermodel.core.judging import judge
from evermodel.core.model import Model
from evermodel.core.store import Store
from evermodel.core.table import Table
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop.auto import Recipe, recipes
from evermodel.loop.home import open_home
from evermodel.loop.judging import earlier_comparisons, pair, trivial_predictions
from evermodel.loop.prepare import Prepared, prepare
from evermodel.loop.record import record
from evermodel.loop.results import Candidate, Updated
from evermodel.loop.scoring import scores_of
from evermodel.loop.shortest import is_model, take_in
from evermodel.loop.showing import shown_scores
from evermodel.loop.use import save

FINISH_TOLERANCE = 0.02  # the finished model may lose that much of the main metric on rows known before


@dataclass(frozen=True)
class Made:
    """A model that a recipe made, how long it took, and its learning curve."""

    recipe: Recipe
    model: Model
    seconds: float
    curve: tuple[Epoch, ...]


def update(
    name: Any,
    data: Any,
    *,
    with_: str = "auto",
    settings: Mapping[str, Any] | None = None,
    budget: float | None = None,
    metric: str | None = None,
    margin: float | None = None,
    accept: Collection[str] = (),
    finish: bool = True,
    dry_run: bool = False,
    seed: int = 0,
    to: str | Path | None = None,
    home: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
    reference: Any = None,
    called: str | None = None,
    **adopting: Any,
) -> Updated:
    """Train a challenger on new rows, judge it against the champion on the newest of them, serve the better one.

    ``name`` is a model's name; or a model file or object, adopted first with ``reference`` rows, ``called`` and
    adopt's options. ``data``: a file, URL or frame of labelled rows that came since. ``with_`` names a plug of
    updates/; ``budget`` in seconds; ``accept`` lists accepted differences ("unit:price"); ``to`` gets the version then
    in service. Raises BadData, ContractBroken, BadSetting, Moved.

        $ evermodel update churn new.csv
    """
    began = time.monotonic()
    if is_model(name):
        name, data = take_in(name, data, reference, called, adopting, home)
    store = open_home(home)
    prepared = prepare(store, name, data, accept=accept, seed=seed)
    context = Context(seed, None if budget is None else began + budget, on_epoch)
    tried = [make(r, prepared, prepared.split(), context) for r in recipes(prepared, with_, settings or {})]
    judged = tried[0]
    scores = paired(store, prepared, judged, metric)
    verdict = judge(scores, margin=margin)
    served = finished(prepared, judged, context) if finish and verdict.decision == "promote" else None
    result = Updated(
        name=name,
        decision=verdict.decision,
        champion=prepared.card.version,
        challenger=None,
        change=judged.recipe.change,
        settings=judged.recipe.settings,
        metric=scores.metric,
        scores=shown_scores(scores),
        reasons=tuple(r.text for r in verdict.reasons),
        rows_needed=verdict.rows_needed,
        candidates=candidates(prepared, tried, scores),
        data=data_facts(prepared),
        finished=served is not None,
        in_service=prepared.card.version,
    )
    if not dry_run:
        result = record(store, prepared, judged, served, scores, verdict, result)
    if to is not None:
        save(name, to=to, version=result.in_service, home=home)
        result = dataclasses.replace(result, saved=str(to))
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def make(recipe: Recipe, prepared: Prepared, split: Split, context: Context) -> Made:
    """Runs one recipe and listens to its epochs."""
    began, curve = time.monotonic(), list[Epoch]()

    def hear(epoch: Epoch) -> None:
        curve.append(epoch)
        context.on_epoch(epoch)

    told = dataclasses.replace(context, on_epoch=hear)
    watched = dataclasses.replace(split, tuning=prepared.judging if split.tuning is None else split.tuning)
    model = told.change(recipe.change, [prepared.parent], watched, **recipe.settings)
    return Made(recipe, model, time.monotonic() - began, tuple(curve))


def paired(store: Store, prepared: Prepared, made: Made, metric: str | None) -> PairedScores:
    """Champion and challenger on the judged rows and on rows known before."""
    log = store.log(prepared.card.name)
    known = prepared.split()
    skills = [e.facts["skill"] for e in log if e.facts.get("skill") is not None]
    return pair(
        prepared.champion,
        made.model,
        prepared.judging,
        prepared.past,
        metric=metric,
        earlier=earlier_comparisons(log, made.recipe.change),
        series=not prepared.card.facts.get("shuffled"),
        trivial=trivial_predictions(made.model, known.kept or known.new, prepared.judging),
        usual_skill=float(np.mean(skills)) if skills else None,
    )


def finished(prepared: Prepared, judged: Made, context: Context) -> Made | None:
    """The winner trained with the judged rows as well; None where it then does worse on rows known before."""
    recipe = judged.recipe.finish or judged.recipe
    made = make(recipe, prepared, dataclasses.replace(prepared.whole(), tuning=prepared.past), context)
    if prepared.past is None or not len(prepared.past):
        return made
    before, after = (_main_score(m, prepared.past) for m in (judged.model, made.model))
    return None if after < before - FINISH_TOLERANCE else made


def _main_score(model: Model, rows: Table) -> float:
    task = model.contract.task
    return scores_of(model.target(rows), model.predict(rows.frame), task)[DEFAULT_METRIC[task]]


def candidates(prepared: Prepared, tried: list[Made], scores: PairedScores) -> tuple[Candidate, ...]:
    """What doing nothing and every recipe scored on the judged rows."""
    task, y = scores.task, scores.new.y
    nothing = Candidate("none", {}, scores_of(y, scores.new.champion, task)[scores.metric], 0.0)
    made = []
    for number, one in enumerate(tried):
        p = scores.new.challenger if number == 0 else one.model.predict(prepared.judging.frame)
        score = scores_of(y, p, task)[scores.metric]
        made.append(Candidate(one.recipe.change, one.recipe.settings, score, one.seconds, chosen=number == 0))
    return (nothing, *made)


def data_facts(prepared: Prepared) -> dict[str, Any]:
    """Rows read, used and judged; what cleaning did; how the rows differ from the contract."""
    return {
        "source": prepared.source,
        "rows": len(prepared.new),
        "judged": int(prepared.judged.sum()),
        "known_before": prepared.known,
        "kept": 0 if prepared.kept is None else len(prepared.kept),
        "cleaning": prepared.cleaned.as_json(),
        "differences": prepared.differences.as_json(),
    }
