"""New rows come: train a candidate, judge it, refit the winner on all rows, put it in service."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evermodel.core.model.strategy import Context
from evermodel.core.model.training import ignore_epoch
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.store import Store
from evermodel.judging.judge_request import Gates, JudgeRequest
from evermodel.registry.lookup import is_pending, open_store
from evermodel.registry.model_export import check_target, save
from evermodel.registry.update_result import UpdateResult
from evermodel.updating.candidate_choice import propose_best
from evermodel.updating.first_update import complete_adoption
from evermodel.updating.pipeline import conclude, judge_proposal
from evermodel.updating.recipes import read_recipes
from evermodel.updating.stages import Completing, JudgedProposal, PromotionPolicy, no_objections, nothing_more
from evermodel.updating.trained_candidate import train_candidate, train_preferred
from evermodel.updating.update_input import UpdateInput, read_update_input
from evermodel.updating.verdicts.reanalysis import choose_winner, judge_held_challenger
from evermodel.updating.verdicts.unlearnt_rows import read_unlearnt_rows


@dataclass(frozen=True)
class UpdateRequest:
    """What is asked of an update, beside the model and the rows. ``update`` explains each."""

    strategy: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    ensemble: bool = False
    widen: bool = False
    new_classes: Collection[Any] = ()
    judge: JudgeRequest = field(default_factory=JudgeRequest)
    accept: Collection[str] = ()
    refit: bool = True
    dry_run: bool = False
    again: bool = False  # rows given before, which the champion has not learnt from, count as new once more
    seed: int = 0
    deadline: float | None = None  # time.monotonic() at which training stops
    on_epoch: Callable[[Epoch], None] = ignore_epoch
    guard_rows: Any = None  # labelled rows on which the challenger may not get worse
    to: Path | None = None  # where the version in service will be saved; checked before anything is trained


def update(
    name: str,
    data: Any,
    *,
    strategy: str = "auto",
    settings: Mapping[str, Any] | None = None,
    ensemble: bool = False,
    widen: bool = False,
    new_classes: Collection[Any] = (),
    budget: float | None = None,
    metric: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    policy: str | None = None,
    gates: Gates | None = None,
    accept: Collection[str] = (),
    refit: bool = True,
    dry_run: bool = False,
    seed: int = 0,
    guard_rows: Any = None,
    to: str | Path | None = None,
    registry: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> UpdateResult:
    """Train a challenger on new rows, judge it against the champion on the newest of them, serve the better one.

    ``data``: a file, URL or frame of labelled rows that came since. ``strategy`` names one, or several
    ("refit,replay"). The new version fits where the deployed one stands: ``ensemble`` allows several models as one, at
    several times the cost, ``widen`` inputs for new categories, ``new_classes`` outputs for classes that it names.
    ``budget`` in seconds; ``accept`` lists accepted differences ("unit:price"); ``refit`` trains the
    winner on the judged rows too; ``guard_rows``: labelled rows on which the challenger may not get worse, whatever it
    gains elsewhere; ``to`` gets the version then in service. Rows may be given again, to try another
    strategy, as long as the champion has not learnt from them; the judge is stricter then. A model that was adopted
    without rows is completed first, with the oldest of ``data``. Raises BadData, ContractBroken, BadSetting, Moved.

        $ evermodel update churn new.csv
    """
    began = time.monotonic()
    store, target = open_store(registry), None if to is None else Path(to)
    if target is not None:
        check_target(target)
    deadline = None if budget is None else began + budget
    request = UpdateRequest(
        strategy=strategy,
        settings=settings or {},
        ensemble=ensemble,
        widen=widen,
        new_classes=new_classes,
        judge=JudgeRequest(metric, margin, policy, gates or {}),
        accept=accept,
        refit=refit,
        dry_run=dry_run,
        again=True,
        seed=seed,
        deadline=deadline,
        on_epoch=on_epoch,
        guard_rows=guard_rows,
        to=target,
    )
    with tempfile.TemporaryDirectory(prefix="evermodel-") as scratch:  # a dry run completes an adoption there
        adopted = None
        if is_pending(store, name):
            into = open_store(scratch) if dry_run else store
            data, adopted = complete_adoption(store, name, data, into=into, to=target)
            store = into
        result = update_model(store, name, data, request)
        if target is not None:
            save(name, to=target, version=result.in_service, registry=store.registry)
            result = dataclasses.replace(result, saved=str(to))
    return dataclasses.replace(result, adopted=adopted, seconds=time.monotonic() - began)


def update_model(
    store: Store,
    name: str,
    data: Any,
    request: UpdateRequest,
    *,
    policy: PromotionPolicy = no_objections,
    completing: Completing = nothing_more,
) -> UpdateResult:
    """One update through the pipeline; a scheduler calls it with its ``policy`` and what it commits along with it."""
    update_input = _read_input(store, name, data, request)
    if request.to is not None:
        check_target(request.to, update_input.champion)
    request.judge.check(update_input.champion.contract.task)
    context = Context(request.seed, request.deadline, request.on_epoch)
    held = None if update_input.n_judged_before else judge_held_challenger(store, update_input)
    trained = _train_and_judge(store, update_input, request, context)
    if trained.verdict.decision == "invalid" and update_input.quarantined is not None:
        # The rows quarantined before and the new ones may agree with each other: then the world has changed.
        update_input = _read_input(store, name, data, request, with_quarantined=True)
        trained = _train_and_judge(store, update_input, request, context)
    winner = choose_winner(trained, held)
    if winner is held:
        proposal = dataclasses.replace(winner.proposal, update_input=update_input)
        winner = dataclasses.replace(winner, proposal=proposal)
    return conclude(
        store,
        winner,
        context,
        refit=request.refit,
        extend=lambda result: result,
        trained=trained,
        reanalysed=held,
        policy=policy,
        completing=completing,
        dry_run=request.dry_run,
    )


def _read_input(
    store: Store, name: str, data: Any, request: UpdateRequest, *, with_quarantined: bool = False
) -> UpdateInput:
    read = read_update_input(
        store,
        name,
        data,
        accept=request.accept,
        widen=request.widen,
        new_classes=request.new_classes,
        seed=request.seed,
        with_quarantined=with_quarantined,
        again=request.again,
    )
    if request.guard_rows is None:
        return read
    learnt = read.new if read.replay_rows is None else read.replay_rows.with_rows(read.new)
    guard = read_unlearnt_rows(request.guard_rows, read.champion.contract, learnt)
    return dataclasses.replace(read, guard_rows=guard)


def _train_and_judge(
    store: Store, update_input: UpdateInput, request: UpdateRequest, context: Context
) -> JudgedProposal:
    recipes = read_recipes(update_input, request.strategy, request.settings, ensemble=request.ensemble)
    if len(recipes) > 1:
        trained = [train_candidate(recipe, update_input, context) for recipe in recipes]
        return judge_proposal(store, propose_best(update_input, trained, request.judge))
    preferred = train_preferred(recipes[0], update_input, context)
    proposal = propose_best(update_input, preferred[:1], request.judge)
    return judge_proposal(store, dataclasses.replace(proposal, listed=tuple(preferred)))
