"""New rows arrive: make a challenger, judge it, finish it, put the winner in service."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from evermodel.core.change import Context
from evermodel.core.judging import confirm, scores_at
from evermodel.core.store import Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop.choosing import Choice, choose, recipes
from evermodel.loop.home import open_home
from evermodel.loop.making import candidates, finished, make, paired
from evermodel.loop.prepare import Prepared, data_facts, prepare
from evermodel.loop.record import record
from evermodel.loop.results import Updated
from evermodel.loop.scoring import check_metric
from evermodel.loop.second_look import Standing, looked_again, planned_looks, shown, winner
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
    updates/, or several ("refit,replay"); ``budget`` in seconds; ``accept`` lists accepted differences ("unit:price"); ``to`` gets the version then
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
    again = looked_again(store, prepared)
    choice = choose(prepared, [make(r, prepared, context) for r in recipes(prepared, with_, settings or {})], metric)
    first = _judged(store, prepared, choice, metric, margin)
    chosen = winner(first, again)
    promoted = chosen.verdict.decision == "promote"
    served = finished(prepared, chosen.made, context) if finish and promoted else None
    result = Updated(
        name=name,
        decision=chosen.verdict.decision,
        champion=prepared.card.version,
        challenger=None,
        change=chosen.made.recipe.change,
        settings=chosen.made.recipe.settings,
        metric=chosen.scores.metric,
        scores=shown_scores(chosen.scores),
        reasons=told_reasons(chosen.verdict),
        rows_needed=chosen.verdict.rows_needed,
        candidates=candidates(
            prepared, choice.made, choice.chosen, prepared.judging.rows(choice.choosing), first.scores.metric, context
        ),
        data=data_facts(prepared),
        finished=served is not None,
        training_seconds=sum(m.seconds for m in choice.made) + (served.seconds if served else 0.0),
        in_service=prepared.card.version,
        second_look=shown(again, chosen),
    )
    if not dry_run:
        result = record(store, prepared, chosen, served, result)
    if to is not None:
        save(name, to=to, version=result.in_service, home=home)
        result = dataclasses.replace(result, saved=str(to))
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def _judged(store: Store, prepared: Prepared, choice: Choice, metric: str | None, margin: float | None) -> Standing:
    """The chosen challenger before the judge, on rows that took no part in the choice."""
    made = choice.chosen
    log = store.log(prepared.card.name)
    every = paired(log, prepared, made, prepared.judging, metric)
    every = dataclasses.replace(every, looks=planned_looks(made.recipe.goal))
    verdict = confirm(every, choice.confirming, goal=made.recipe.goal, margin=margin)
    scores = scores_at(every, choice.confirming)
    return Standing(made, scores, verdict, margin, judged=prepared.judging.rows(choice.confirming))
