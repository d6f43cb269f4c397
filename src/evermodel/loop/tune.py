"""Search better hyperparameters for a model; what comes out is a challenger like any other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evermodel.core import plugs
from evermodel.core.change import Context
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.ensemble import Ensemble
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model import Model
from evermodel.core.searching import Found, Trial
from evermodel.core.settings import read_settings
from evermodel.core.space import Dimension, Space, Value, read_space
from evermodel.core.store import Card, Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop._search.fits import TOLD, Fits
from evermodel.loop._search.folds import folds_of
from evermodel.loop._search.search import Runs
from evermodel.loop._search.study import Study
from evermodel.loop._search.warm import remember_end, warm_start
from evermodel.loop.auto import Recipe
from evermodel.loop.challenge import Asked, challenge, fields_of
from evermodel.loop.fair_past import ENOUGH, with_fair_past
from evermodel.loop.home import open_home
from evermodel.loop.known import prepare_known
from evermodel.loop.making import finished, make
from evermodel.loop.prepare import Prepared, prepare
from evermodel.loop.results import Updated
from evermodel.loop.scoring import check_metric

UNBEATEN = "None of {} other points beat the hyperparameters in service: it was trained with these on newer rows."
TRIALS = 30
PATIENCE = 1_000_000  # trials, where a time is what bounds the search


@dataclass(frozen=True)
class Tuned(Updated):
    """What a search found, and what the judge said of it."""

    trials: tuple[Trial, ...] = ()
    best: Mapping[str, Value] = field(default_factory=dict)
    incumbent: Mapping[str, Value] = field(default_factory=dict)
    epochs: int = 0  # trained by all trials, over all folds
    space: Mapping[str, Any] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)

    @property
    def unbeaten(self) -> bool:
        """No other point beat the hyperparameters in service."""
        return bool(self.best) and dict(self.best) == dict(self.incumbent)

    def lines(self) -> list[str]:
        stopped = sum(t.state == "stopped" for t in self.trials)
        best = max((t for t in self.trials if t.state == "whole"), key=lambda t: t.score, default=None)
        found = "" if best is None else f", best {best.score:.4f} in trial {best.number}"
        head, *rest = super().lines()
        values = "  ".join(f"{k}={_shown(v)}" for k, v in self.best.items())
        searched = f"  searched {len(self.trials)} points ({stopped} given up early), {self.epochs:,} epochs{found}"
        return [head, searched, f"  best     {values}", *rest]


def tune(
    name: str,
    data: Any = None,
    *,
    space: str | Path | Mapping[str, Any] | Space | None = None,
    trials: int | None = None,
    budget: float | None = None,
    with_: str = "tpe",
    settings: Mapping[str, Any] | None = None,
    folds: int = 3,
    resume: bool = False,
    warm: bool = True,
    build: Callable[[dict[str, Value]], Any] | None = None,
    metric: str | None = None,
    margin: float | None = None,
    accept: Collection[str] = (),
    finish: bool = True,
    seed: int = 0,
    home: str | Path | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> Tuned:
    """Search hyperparameters on known and new rows; the best point, trained on all of them, meets the champion.

    Trial 0 is what is deployed. ``space``: file or mapping, else the usual ranges; ``budget`` in seconds or ``trials``
    bound it; ``resume`` goes on with an interrupted search on the same rows; ``build(values)`` makes the model where
    the deployed structure is not to be edited. Without ``data`` the newest remembered rows judge, and the deployed
    recipe trained without them stands for the champion. Raises BadSetting, NoData, NotFound, Moved.

        $ evermodel tune churn april.csv --trials 40
    """
    began = time.monotonic()
    store = open_home(home)
    tuner = plugs.function("tuners", with_)
    told = read_settings(tuner, settings or {})
    _check(folds, trials, budget)
    prepared = (
        prepare_known(store, name, seed) if data is None else prepare(store, name, data, accept=accept, seed=seed)
    )
    check_metric(metric, prepared.champion.contract.task)
    context = Context(seed, None if budget is None else began + budget, on_epoch)
    fits = _fits(prepared, metric, folds, build, context)
    asked = _space(space, fits, build)
    runs = _runs(store, prepared, fits, asked, trials, budget, seed, resume)
    runs.hear = on_trial
    found = _searched(runs, tuner, told, prepared, warm=warm)
    context = dataclasses.replace(context, deadline=None)  # the search was bounded; its winner is trained to the end
    return _judged(
        store, prepared, fits, asked, found, context, metric=metric, margin=margin, finish=finish, began=began
    )


def _check(folds: int, trials: int | None, budget: float | None) -> None:
    if not 2 <= folds <= 20:
        raise BadSetting(f"folds must be in [2, 20]. Got {folds}.", "3 is the default.")
    if trials is not None and trials < 1:
        raise BadSetting(f"trials must be at least 1. Got {trials}.", f"{TRIALS} is the default.")
    if budget is not None and budget <= 0:
        raise BadSetting(f"budget must be above 0 seconds. Got {budget}.")


def _fits(prepared: Prepared, metric: str | None, folds: int, build: Any, context: Context) -> Fits:
    base = _plain(prepared.parent)
    split = prepared.split()
    rows = split.new if split.kept is None else split.kept.with_rows(split.new)
    shuffled = bool(prepared.card.facts.get("shuffled"))
    classify = base.contract.task != "regression"
    parts = folds_of(rows, folds, shuffled=shuffled, classify=classify, seed=context.seed)
    return Fits(base, parts, metric or DEFAULT_METRIC[base.contract.task], context, build)


def _plain(model: Model) -> Model:
    """One model: of several that answer together, the first stands for their kind."""
    if not isinstance(model.obj, Ensemble):
        return model
    return dataclasses.replace(model.obj.members[0], contract=model.contract)


def _space(given: Any, fits: Fits, build: Any) -> Space:
    known = fits.dimensions()
    if given is None:
        if build is not None:
            raise BadSetting("build(values) needs a space: which values may it be given?", "Give space={...}.")
        if not known:
            kind = type(fits.base.obj).__name__
            raise BadModel(f"We know of nothing to tune in a {kind}.", "Give --space with its own parameters' names.")
        return Space(tuple(known.values()))
    if build is not None and isinstance(given, Mapping):
        known = {**{name: Dimension(name, "float") for name in given}, **known}
    return read_space(given, known)


def _runs(
    store: Store, prepared: Prepared, fits: Fits, space: Space, trials: int | None, budget: float | None, seed: int,
    resume: bool,
) -> Runs:  # fmt: skip
    """The study of this very search: same rows, space, folds, metric, seed. A new one unless it is to be resumed."""
    rows, version = prepared.rows_key, prepared.card.version
    told = json.dumps([rows, space.as_json(), len(fits.folds), fits.metric, seed, version], sort_keys=True)
    key = hashlib.sha256(told.encode()).hexdigest()[:16]
    at = store.scratch(prepared.card.name) / "studies.journal"
    number = 0
    while not resume and Study(at, f"{key}.{number}", space).trials():
        number += 1
    while resume and Study(at, f"{key}.{number + 1}", space).trials():
        number += 1
    most = trials if trials is not None else PATIENCE if budget is not None else TRIALS
    return Runs(space, fits, Study(at, f"{key}.{number}", space), most, seed)


def _searched(runs: Runs, tuner: Any, told: Mapping[str, Any], prepared: Prepared, *, warm: bool) -> Found:
    """Trial 0 is the deployed point; then what earlier searches found; then the tuner."""
    resumed = len(runs.trials())
    kept = prepared.card.settings if prepared.card.change == "tune" else {}
    values = runs.fits.incumbent(runs.space.names, kept)
    if len(values) == len(runs.space.names):
        runs.run(values, note="as deployed")
    if warm and not resumed:
        warm_start(runs)
    tuner(runs, **told)
    best, all_trials = runs.best(), tuple(runs.trials())
    asked = [t for t in all_trials if t.note != "as deployed"]
    if best is None or (asked and all(t.state == "failed" for t in asked) and not runs.fits.out_of_time()):
        why = next((t.note for t in all_trials if t.state == "failed" and t.note), "there was no time for one")
        raise BadSetting(
            f"No point of the space could be trained to the end ({why}).", "Give more time, or another space."
        )
    incumbent = next((t for t in all_trials if t.note == "as deployed"), best)
    remember_end(runs, best)
    epochs = sum(t.epochs for t in all_trials)
    return Found(best, incumbent, all_trials, epochs, runs.study.importances(), resumed)


def _judged(
    store: Store, prepared: Prepared, fits: Fits, space: Space, found: Found, context: Context, *,
    metric: str | None, margin: float | None, finish: bool, began: float,
) -> Tuned:  # fmt: skip
    if prepared.known_only:
        model, told = fits.model(found.incumbent.values)
        stand_in = make(Recipe("refit", told), dataclasses.replace(prepared, parent=model), context)
        prepared = dataclasses.replace(prepared, champion=stand_in.model)
    model, told = fits.model(found.best.values)
    prepared = dataclasses.replace(with_fair_past(store, prepared, context, enough=ENOUGH), parent=model)
    made = make(Recipe("refit", told), prepared, context)

    def dressed(updated: Updated) -> Tuned:
        fields = fields_of(updated)
        fields["training_seconds"] += sum(t.seconds for t in found.trials)
        fields["reasons"] = (*fields["reasons"], *_unbeaten(found))
        return Tuned(
            **fields, trials=found.trials, best=dict(found.best.values), incumbent=dict(found.incumbent.values),
            epochs=found.epochs, space=space.as_json(), importances=found.importances,
        )  # fmt: skip

    asked = Asked("tune", {k: v for k, v in found.best.values.items() if k in TOLD}, "better", metric, margin)
    result = challenge(store, prepared, made, asked, context, finish=finish, dressed=dressed)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def tuned_again(store: Store, prepared: Prepared, card: Card, context: Context) -> Model:
    """The version's model trained again with the point that its search found; nothing is searched."""
    fits = Fits(_plain(prepared.parent), (), DEFAULT_METRIC[prepared.parent.contract.task], context)
    model, told = fits.model(card.facts["result"]["best"])
    prepared = dataclasses.replace(with_fair_past(store, prepared, context, enough=ENOUGH), parent=model)
    made = make(Recipe("refit", told), prepared, context)
    served = finished(store, prepared, made, context) if card.facts.get("finished") else None
    return (served or made).model


def _unbeaten(found: Found) -> tuple[str, ...]:
    """A gain is then the newer rows' and not the search's: to be said before anybody thanks it."""
    others = sum(t.state != "failed" and t.number != found.incumbent.number for t in found.trials)
    return (UNBEATEN.format(others),) if found.best.number == found.incumbent.number and others else ()


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
