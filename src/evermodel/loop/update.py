"""New rows arrive: make a challenger, judge it, finish it, put the winner in service."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from evermodel.core.change import Context
from evermodel.core.judging import confirm, scores_at
from evermodel.core.store import Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop.arrival import with_suspicions
from evermodel.loop.choosing import Choice, choose, recipes
from evermodel.loop.making import Made, candidates, finished, make, paired
from evermodel.loop.prepare import Prepared, data_facts, prepare
from evermodel.loop.record import record
from evermodel.loop.results import Updated
from evermodel.loop.scoring import check_metric
from evermodel.loop.second_look import Standing, looked_again, planned_looks, shown, winner
from evermodel.loop.shortest import adopted_first
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
    adopt's options. ``data``: a file, URL or frame of labelled rows that came since. ``with_`` is a plug of updates/,
    or several ("refit,replay"); ``budget`` in seconds; ``accept`` lists accepted differences ("unit:price"); ``to``
    gets the version then in service. Raises BadData, ContractBroken, BadSetting, Moved.

        $ evermodel update churn new.csv
    """
    began = time.monotonic()
    target = None if to is None else Path(to)
    if target is not None:
        check_target(target)
    with tempfile.TemporaryDirectory(prefix="evermodel-") as scratch:  # a dry run adopts into it
        store, name, data = adopted_first(
            name, data, target, reference, called, adopting, home, Path(scratch) if dry_run else None
        )
        prepared = prepare(store, name, data, accept=accept, seed=seed)
        if target is not None:
            check_target(target, prepared.champion)
        check_metric(metric, prepared.champion.contract.task)
        context = Context(seed, None if budget is None else began + budget, on_epoch)
        again = looked_again(store, prepared)
        asked = (with_, settings or {}, metric, margin)
        choice, first = _stood(store, prepared, asked, context)
        if first.verdict.decision == "invalid" and prepared.aside is not None:  # or do both blocks tell of one world?
            prepared = prepare(store, name, data, accept=accept, seed=seed, with_aside=True)
            choice, first = _stood(store, prepared, asked, context)
        chosen = winner(first, again)
        promoted = chosen.verdict.decision == "promote"
        metric = chosen.scores.metric
        served = finished(store, prepared, chosen.made, context, metric) if finish and promoted else None
        result = _result(prepared, choice, first, chosen, served, context)
        result = dataclasses.replace(result, second_look=shown(again, chosen))
        if not dry_run:
            result = record(store, prepared, chosen, served, result, seed)
        if target is not None:
            save(name, to=target, version=result.in_service, home=store.home)
            result = dataclasses.replace(result, saved=str(to))
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def _result(
    prepared: Prepared, choice: Choice, first: Standing, chosen: Standing, served: Made | None, context: Context
) -> Updated:
    """What happened, before anything is written down."""
    rows = prepared.judging.rows(choice.choosing)
    return Updated(
        name=prepared.card.name,
        decision=chosen.verdict.decision,
        champion=prepared.card.version,
        challenger=None,
        change=chosen.made.recipe.change,
        settings=chosen.made.recipe.settings,
        metric=chosen.scores.metric,
        scores=shown_scores(chosen.scores),
        reasons=(*prepared.remarks, *told_reasons(chosen.verdict), *(served.remarks if served else ())),
        rows_needed=chosen.verdict.rows_needed,
        candidates=candidates(prepared, choice.made, choice.chosen, rows, first.scores.metric, context),
        data=data_facts(prepared),
        finished=served is not None,
        training_seconds=sum(m.seconds for m in choice.made) + (served.seconds if served else 0.0),
        in_service=prepared.card.version,
    )


def _stood(
    store: Store, prepared: Prepared, asked: tuple[str, Mapping[str, Any], str | None, float | None], context: Context
) -> tuple[Choice, Standing]:
    """The chosen challenger before the judge, on rows that took no part in the choice."""
    with_, settings, metric, margin = asked
    ways = recipes(prepared, with_, settings)
    choice = choose(prepared, [make(way, prepared, context) for way in ways], metric)
    made = choice.chosen
    log = store.log(prepared.card.name)
    every = paired(log, prepared, made, prepared.judging, metric)
    every = dataclasses.replace(every, looks=planned_looks(made.recipe.goal))
    verdict = confirm(every, choice.confirming, goal=made.recipe.goal, margin=margin)
    verdict = with_suspicions(verdict, prepared.suspect)
    scores = scores_at(every, choice.confirming)
    return choice, Standing(made, scores, verdict, margin, judged=prepared.judging.rows(choice.confirming))
