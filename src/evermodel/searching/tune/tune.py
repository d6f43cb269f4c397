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

from evermodel.core.data.task import refuse_text
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.model.search_space import Dimension, Space, read_space
from evermodel.core.model.strategy import Context
from evermodel.core.model.training import ignore_epoch
from evermodel.core.model.trials import TUNERS, SearchResult
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import Trial, TuningRecord, Value
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.records.version_card import VersionCard
from evermodel.core.settings import read_settings
from evermodel.core.store import Store
from evermodel.judging.judge_request import Gates, JudgeRequest
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.registry.lookup import open_store
from evermodel.registry.update_result import UpdateResult
from evermodel.searching.tune.folds import folds_of
from evermodel.searching.tune.search import SearchRuns
from evermodel.searching.tune.study import Study
from evermodel.searching.tune.trial_fits import TOLD, Fits
from evermodel.searching.tune.warm_start import remember_end, warm_start
from evermodel.updating.pipeline import conclude, judge_proposal, result_fields
from evermodel.updating.recipes import Recipe
from evermodel.updating.remembered_rows import read_new_or_known_rows
from evermodel.updating.stages import Completing, PromotionPolicy, Proposal, no_objections, nothing_more
from evermodel.updating.trained_candidate import TrainedCandidate, refit_on_all_rows, train_candidate
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.retention_baseline import ENOUGH, add_retention_baseline

UNBEATEN = "None of {} other points beat the hyperparameters in service: it was trained with these on newer rows."
TRIALS = 30
PATIENCE = 1_000_000  # trials, where a time is what bounds the search


@dataclass(frozen=True)
class TuneResult(UpdateResult):
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


@dataclass(frozen=True)
class TuneRequest:
    """What is asked of a search, beside the model and the rows. ``tune`` explains each."""

    space: str | Path | Mapping[str, Any] | Space | None = None
    trials: int | None = None
    budget: float | None = None
    tuner: str = "tpe"
    settings: Mapping[str, Any] = field(default_factory=dict)
    folds: int = 3
    resume: bool = False
    warm: bool = True
    build: Callable[[dict[str, Value]], Any] | None = None
    judge: JudgeRequest = field(default_factory=JudgeRequest)
    accept: Collection[str] = ()
    refit: bool = True
    seed: int = 0
    on_trial: Callable[[Trial], None] = lambda trial: None
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def check(self) -> None:
        """Raises BadSetting."""
        if not 2 <= self.folds <= 20:
            raise BadSetting(f"folds must be in [2, 20]. Got {self.folds}.", "3 is the default.")
        if self.trials is not None and self.trials < 1:
            raise BadSetting(f"trials must be at least 1. Got {self.trials}.", f"{TRIALS} is the default.")
        if self.budget is not None and self.budget <= 0:
            raise BadSetting(f"budget must be above 0 seconds. Got {self.budget}.")


def tune(
    name: str,
    data: Any = None,
    *,
    space: str | Path | Mapping[str, Any] | Space | None = None,
    trials: int | None = None,
    budget: float | None = None,
    tuner: str = "tpe",
    settings: Mapping[str, Any] | None = None,
    folds: int = 3,
    resume: bool = False,
    warm: bool = True,
    build: Callable[[dict[str, Value]], Any] | None = None,
    metric: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    policy: str | None = None,
    gates: Gates | None = None,
    accept: Collection[str] = (),
    refit: bool = True,
    seed: int = 0,
    registry: str | Path | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> TuneResult:
    """Search hyperparameters on known and new rows; the best point, trained on all of them, meets the champion.

    Trial 0 is what is deployed. ``space``: file or mapping, else the usual ranges; ``budget`` in seconds or ``trials``
    bound it; ``resume`` goes on with an interrupted search on the same rows; ``build(values)`` makes the model where
    the deployed structure is not to be edited. Without ``data`` the newest remembered rows judge, and the deployed
    recipe trained without them stands for the champion. Raises BadSetting, NoData, NotFound, Moved.

        $ evermodel tune churn april.csv --trials 40
    """
    began = time.monotonic()
    request = TuneRequest(
        space=space,
        trials=trials,
        budget=budget,
        tuner=tuner,
        settings=settings or {},
        folds=folds,
        resume=resume,
        warm=warm,
        build=build,
        judge=JudgeRequest(metric, margin, policy, gates or {}),
        accept=accept,
        refit=refit,
        seed=seed,
        on_trial=on_trial,
        on_epoch=on_epoch,
    )
    result = tune_model(open_store(registry), name, data, request)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def tune_model(
    store: Store,
    name: str,
    data: Any,
    request: TuneRequest,
    *,
    policy: PromotionPolicy = no_objections,
    completing: Completing = nothing_more,
) -> TuneResult:
    """One search and its winner through the pipeline; a scheduler gives its ``policy`` and what it commits with it."""
    deadline = None if request.budget is None else time.monotonic() + request.budget
    tuner = TUNERS.load(request.tuner)
    settings = read_settings(tuner, request.settings)
    request.check()
    update_input = read_new_or_known_rows(store, name, data, request.accept, request.seed)
    refuse_text(update_input.champion.contract.task, "is not tuned yet", "Set values by 'evermodel update --set'.")
    request.judge.check(update_input.champion.contract.task)
    context = Context(request.seed, deadline, request.on_epoch)
    fits = _fits(update_input, request.judge.metric, request.folds, request.build, context)
    space = _space(request.space, fits, request.build)
    runs = _runs(store, update_input, fits, space, request)
    found = _search(runs, tuner, settings, update_input, warm=request.warm)
    context = dataclasses.replace(context, deadline=None)  # the search was bounded; its winner is trained to the end
    judged = judge_proposal(store, _propose(store, update_input, fits, space, found, context, request))

    def extend(result: UpdateResult) -> TuneResult:
        fields = result_fields(result)
        fields["training_seconds"] += sum(t.seconds for t in found.trials)
        fields["reasons"] = (*fields["reasons"], *_unbeaten(found))
        return TuneResult(
            **fields,
            trials=found.trials,
            best=dict(found.best.values),
            incumbent=dict(found.incumbent.values),
            epochs=found.epochs,
            space=space.as_json(),
            importances=found.importances,
        )

    return conclude(store, judged, context, refit=request.refit, extend=extend, policy=policy, completing=completing)


def _fits(update_input: UpdateInput, metric: str | None, folds: int, build: Any, context: Context) -> Fits:
    base = _plain(update_input.parent)
    split = update_input.split()
    rows = split.new_rows if split.replay_rows is None else split.replay_rows.with_rows(split.new_rows)
    shuffled = update_input.card.shuffled
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
            raise BadModel(
                f"We know of nothing to tune in a {kind}.", "Give a search space with the names of its own parameters."
            )
        return Space(tuple(known.values()))
    if build is not None and isinstance(given, Mapping):
        known = {**{name: Dimension(name, "float") for name in given}, **known}
    return read_space(given, known)


def _runs(store: Store, update_input: UpdateInput, fits: Fits, space: Space, request: TuneRequest) -> SearchRuns:
    """The study of this very search: same rows, space, folds, metric, seed. A new one unless it is to be resumed."""
    rows, version = update_input.rows_key, update_input.card.version
    searched = [rows, space.as_json(), len(fits.folds), fits.metric, request.seed, version]
    key = hashlib.sha256(json.dumps(searched, sort_keys=True).encode()).hexdigest()[:16]
    at = store.scratch_folder(update_input.card.name) / "studies.journal"
    number = 0
    while not request.resume and Study(at, f"{key}.{number}", space).trials():
        number += 1
    while request.resume and Study(at, f"{key}.{number + 1}", space).trials():
        number += 1
    unbounded = PATIENCE if request.budget is not None else TRIALS
    most = request.trials if request.trials is not None else unbounded
    return SearchRuns(space, fits, Study(at, f"{key}.{number}", space), most, request.seed, request.on_trial)


def _search(
    runs: SearchRuns, tuner: Any, settings: Mapping[str, Any], update_input: UpdateInput, *, warm: bool
) -> SearchResult:
    """Trial 0 is the deployed point; then what earlier searches found; then the tuner."""
    resumed = len(runs.trials())
    kept = update_input.card.settings if update_input.card.strategy == "tune" else {}
    values = runs.fits.incumbent(runs.space.names, kept)
    if len(values) == len(runs.space.names):
        runs.run(values, note="as deployed")
    if warm and not resumed:
        warm_start(runs)
    tuner(runs, **settings)
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
    return SearchResult(best, incumbent, all_trials, epochs, runs.study.importances(), resumed)


def _propose(
    store: Store,
    update_input: UpdateInput,
    fits: Fits,
    space: Space,
    found: SearchResult,
    context: Context,
    request: TuneRequest,
) -> Proposal:
    """The best point, trained on all rows but the judged ones."""
    if update_input.without_new_rows:
        model, settings = fits.model(found.incumbent.values)
        deployed = dataclasses.replace(update_input, parent=model)
        stand_in = train_candidate(Recipe("refit", settings), deployed, context)
        update_input = dataclasses.replace(update_input, champion=stand_in.model)
    update_input, candidate = _train_point(store, update_input, fits, found.best.values, context)
    values = {k: v for k, v in found.best.values.items() if k in TOLD}
    return Proposal(
        update_input,
        candidate,
        "tune",
        values,
        request.judge.read_terms(update_input.champion.contract.task, JudgePolicy.BETTER),
        tuning=TuningRecord(
            found.trials,
            dict(found.best.values),
            dict(found.incumbent.values),
            found.epochs,
            space.as_json(),
            found.importances,
        ),
    )


def _train_point(
    store: Store, update_input: UpdateInput, fits: Fits, values: Mapping[str, Value], context: Context
) -> tuple[UpdateInput, TrainedCandidate]:
    """A model with these hyperparameters, trained anew; and what it was trained and will be judged on."""
    model, settings = fits.model(values)
    update_input = add_retention_baseline(store, update_input, context, enough=ENOUGH)
    update_input = dataclasses.replace(update_input, parent=model)
    return update_input, train_candidate(Recipe("refit", settings), update_input, context)


def tune_again(store: Store, update_input: UpdateInput, card: VersionCard, context: Context) -> Model:
    """The version's model trained again with the point that its search found; nothing is searched."""
    fits = Fits(_plain(update_input.parent), (), DEFAULT_METRIC[update_input.parent.contract.task], context)
    if card.update is None or card.update.tuning is None:
        raise AskedWrongly(f"{card.name} {card.version} cannot be trained again: its card has no record of the search.")
    values = dict(card.update.tuning.best)
    update_input, candidate = _train_point(store, update_input, fits, values, context)
    refit = refit_on_all_rows(store, update_input, candidate, context) if card.update.refit else None
    return (refit or candidate).model


def _unbeaten(found: SearchResult) -> tuple[str, ...]:
    """A gain is then the newer rows' and not the search's: to be said before anybody thanks it."""
    others = sum(t.state != "failed" and t.number != found.incumbent.number for t in found.trials)
    return (UNBEATEN.format(others),) if found.best.number == found.incumbent.number and others else ()


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
