"""New rows arrive: make a challenger, judge it, finish it, put the winner in service."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from evermodel.core.change import Context
from evermodel.core.judging import judge
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop.auto import recipe
from evermodel.loop.home import open_home
from evermodel.loop.making import candidates, finished, make, paired
from evermodel.loop.prepare import data_facts, prepare
from evermodel.loop.record import record
from evermodel.loop.results import Updated
from evermodel.loop.scoring import check_metric
from evermodel.loop.shortest import is_model, take_in
from evermodel.loop.showing import shown_scores, told_reasons
from evermodel.loop.use import check_target, save


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
    if to is not None:
        check_target(Path(to))
    if is_model(name):
        name, data = take_in(name, data, reference, called, adopting, home)
    store = open_home(home)
    prepared = prepare(store, name, data, accept=accept, seed=seed)
    if to is not None:
        check_target(Path(to), prepared.champion)
    check_metric(metric, prepared.champion.contract.task)
    context = Context(seed, None if budget is None else began + budget, on_epoch)
    judged = make(recipe(prepared, with_, settings or {}), prepared, context)
    scores = paired(store, prepared, judged, metric)
    verdict = judge(scores, goal=judged.recipe.goal, margin=margin)
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
        reasons=told_reasons(verdict),
        rows_needed=verdict.rows_needed,
        candidates=candidates(prepared, judged, scores, context),
        data=data_facts(prepared),
        finished=served is not None,
        training_seconds=judged.seconds + (served.seconds if served else 0.0),
        in_service=prepared.card.version,
    )
    if not dry_run:
        result = record(store, prepared, judged, served, scores, verdict, result)
    if to is not None:
        save(name, to=to, version=result.in_service, home=home)
        result = dataclasses.replace(result, saved=str(to))
    return dataclasses.replace(result, seconds=time.monotonic() - began)
