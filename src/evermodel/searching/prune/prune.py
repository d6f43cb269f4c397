"""Make a model smaller and faster; what comes out is a challenger like any other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import LayerRemoval, Prunable, Truncatable
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import PRUNERS, Context
from evermodel.core.model.training import ignore_epoch
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import PruningRecord, PruningTrial, ServingCost
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.records.version_card import VersionCard
from evermodel.core.settings import read_settings
from evermodel.core.store import Store
from evermodel.judging.judge_request import Gates, JudgeRequest, JudgeTerms
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.result_table import format_number
from evermodel.registry.update_result import UpdateResult
from evermodel.searching.prune.ratios import RatioTrials, costs_alike, saves_size, saves_when_compressed
from evermodel.searching.resumable_job import ResumableWork
from evermodel.updating.pipeline import conclude, judge_proposal, result_fields
from evermodel.updating.remembered_rows import read_unseen_rows, split_for_choosing
from evermodel.updating.stages import JudgedProposal, Proposal
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.retention_baseline import ENOUGH, add_retention_baseline

JUDGED = 0.5  # of the new rows: that little is lost takes more of them to show than a gain, and none are learnt later
KEEP = 0.005  # of the score: what may be lost where nobody says it


@dataclass(frozen=True)
class PruneResult(UpdateResult):
    """What pruning made, and what the judge said of it. ``latency``, ``size``: champion -> challenger."""

    ratio: float = float("nan")
    base: float = float("nan")  # the champion's score on the rows to choose by
    tried: tuple[PruningTrial, ...] = ()  # by ratio; their latency and size are times the champion's
    latency: tuple[float, float] = (float("nan"), float("nan"))  # seconds a batch
    size: tuple[int, int] = (0, 0)  # bytes
    compressed: bool = False  # size is that of the compressed files: all that this way of pruning saves

    def lines(self) -> list[str]:
        head, *rest = super().lines()
        points = ", ".join(f"{p.ratio:g}: x{p.latency:.2f} {format_number(p.score, '.4f')}" for p in self.tried)
        packed = " compressed" if self.compressed else ""
        cost = (
            f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, "
            f"{self.size[0]:,} -> {self.size[1]:,} bytes{packed}"
        )
        return [head, f"  removed  {self.ratio:g} (tried {points})", cost, *rest]


@dataclass(frozen=True)
class PruneRequest:
    """What is asked of a pruning, beside the model and the rows. ``prune`` explains each."""

    pruner: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    ratio: float | None = None
    latency: float | None = None
    size: float | None = None
    keep_metric: float = KEEP
    judge: JudgeRequest = field(default_factory=JudgeRequest)
    accept: Collection[str] = ()
    resume: bool = False
    seed: int = 0
    on_point: Callable[[PruningTrial], None] = lambda point: None
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def check(self) -> None:
        """Raises BadSetting."""
        limits = (("ratio", self.ratio), ("latency", self.latency), ("size", self.size))
        if sum(value is not None for _, value in limits) > 1:
            raise BadSetting("Give one of ratio, latency and size.", "The other two follow from it.")
        for name, value in limits:
            if value is not None and not 0.0 < value < 1.0:
                raise BadSetting(f"{name} must be above 0 and below 1. Got {value:g}.", "0.5 is half.")
        if not 0.0 <= self.keep_metric < 1.0:
            raise BadSetting(f"keep_metric must be in [0, 1). Got {self.keep_metric:g}.", "0.005 is half a point.")


def prune(
    name: str,
    data: Any = None,
    *,
    pruner: str = "auto",
    settings: Mapping[str, Any] | None = None,
    ratio: float | None = None,
    latency: float | None = None,
    size: float | None = None,
    keep_metric: float = KEEP,
    metric: str | None = None,
    policy: str | None = None,
    gates: Gates | None = None,
    accept: Collection[str] = (),
    resume: bool = False,
    seed: int = 0,
    registry: str | Path | None = None,
    on_point: Callable[[PruningTrial], None] = lambda point: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> PruneResult:
    """Make the champion smaller and faster, judge that it is no worse and cheaper, serve it then.

    ``pruner`` names a plugin of pruners/, or auto. ``ratio`` of it goes; or as much as ``latency`` or ``size`` (times
    the champion's, measured) ask; or, of five ratios tried, the most that costs ``keep_metric`` of the score on rows to
    choose by. The judge asks the same margin on rows nobody has seen: of ``data``, else those kept out of training.
    ``resume`` goes on where the same pruning was interrupted. Raises BadModel, BadSetting, NoData, NotFound, Moved.

        $ evermodel prune churn april.csv --latency 0.5x
    """
    began = time.monotonic()
    judging = JudgeRequest(metric, None, policy, gates or {})
    request = PruneRequest(
        pruner,
        settings or {},
        ratio,
        latency,
        size,
        keep_metric,
        judging,
        accept,
        resume,
        seed,
        on_point,
        on_epoch,
    )
    result = prune_model(open_store(registry), name, data, request)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def prune_model(store: Store, name: str, data: Any, request: PruneRequest) -> PruneResult:
    """One pruning through the pipeline."""
    request.check()
    champion_of(store, name)
    settings = _read_settings(request)
    update_input = read_unseen_rows(store, name, data, request.accept, request.seed, JUDGED)
    request.judge.check(update_input.champion.contract.task)
    pruner = _choose_pruner(update_input.parent) if request.pruner == "auto" else request.pruner
    context = Context(request.seed, None, request.on_epoch)
    update_input = add_retention_baseline(store, update_input, context, enough=ENOUGH)
    key = [update_input.rows_key, update_input.card.version, pruner, dict(settings), request.seed]
    unfinished = ResumableWork(store, name, "prune", key, resume=request.resume)
    split = split_for_choosing(update_input)
    points = RatioTrials(pruner, settings, update_input.parent, split, context, request.on_point, unfinished)
    _search(points, request)
    judged = _judge_in_order(store, update_input, points, request)
    costs = judged.proposal.costs
    assert costs is not None  # noqa: S101  # _propose gives them
    chosen = next(point for point, candidate in points.tried if candidate is judged.proposal.candidate)

    cost = ServingCost(
        (costs[0].latency, costs[1].latency), (costs[0].size, costs[1].size), saves_when_compressed(pruner)
    )
    record = PruningRecord(chosen.ratio, points.base, points.points())
    proposal = dataclasses.replace(judged.proposal, pruning=record, serving_cost=cost)
    judged = dataclasses.replace(judged, proposal=proposal)

    def extend(result: UpdateResult) -> PruneResult:
        return PruneResult(
            **result_fields(result),
            ratio=chosen.ratio,
            base=points.base,
            tried=points.points(),
            latency=cost.latency,
            size=cost.size,
            compressed=cost.compressed,
        )

    result = conclude(store, judged, context, refit=False, extend=extend)
    unfinished.clear()
    return result


def prune_again(store: Store, update_input: UpdateInput, card: VersionCard, context: Context) -> Model:
    """The version's parent pruned again by the ratio that was chosen; no other is tried."""
    settings = {k: v for k, v in card.settings.items() if k not in ("with", "ratio")}
    update_input = add_retention_baseline(store, update_input, context, enough=ENOUGH)
    split = split_for_choosing(update_input)
    points = RatioTrials(card.settings["with"], settings, update_input.parent, split, context, lambda point: None)
    points.run(card.settings["ratio"])
    return points.tried[0][1].model


def _read_settings(request: PruneRequest) -> Mapping[str, Any]:
    settings = request.settings
    if request.pruner == "auto":
        if settings:
            raise BadSetting(
                f"'auto' chooses its own settings. Got {', '.join(settings)}.", "Name a pruner, for example 'trees'."
            )
        return {}
    if "ratio" in settings:
        raise BadSetting("ratio is not among the settings of a pruner.", "Give it as `ratio` itself.")
    return read_settings(PRUNERS.load(request.pruner), settings)


def _choose_pruner(model: Model) -> str:
    """Layers of text networks, channels of others, trees of boosters and forests, features of the rest."""
    one = model.obj.members[0] if isinstance(model.obj, Ensemble) else model
    try:
        if isinstance(one.framework, LayerRemoval) and one.framework.count_layers(one.obj) > 1:
            return "layers"
        if isinstance(one.framework, Prunable):
            one.framework.find_channel_groups(one.obj)
            return "channels"
        if isinstance(one.framework, Truncatable) and one.framework.count_trees(one.obj) > 1:
            return "trees"
    except BadModel:
        if one.signature.network:
            raise
    return "features"


def _search(points: RatioTrials, request: PruneRequest) -> None:
    if request.ratio is not None:
        points.run(request.ratio)
    elif request.latency is not None:
        points.run(points.reaching("latency", request.latency))
    elif request.size is not None:
        points.run(points.reaching("size", request.size))
    else:
        points.within(request.keep_metric)


def _judge_in_order(
    store: Store, update_input: UpdateInput, points: RatioTrials, request: PruneRequest
) -> JudgedProposal:
    """From the safest size to the smallest, each before the judge at its full confidence, until one does not pass.

    The last that passed is the challenger (the first, where none did). An order fixed beforehand needs no correction:
    a size that is worse is only reached, and only promoted, where the judge errs on it, which it does in 1 of 20.
    """
    best: JudgedProposal | None = None
    for at in points.in_order(request.keep_metric):
        judged = judge_proposal(store, _propose(update_input, points, at, request))
        passed = judged.verdict.decision == "promote"
        if passed or best is None:
            best = judged
        if not passed:
            break
    assert best is not None  # noqa: S101  # at least one point was tried
    return best


def _read_terms(update_input: UpdateInput, limits: Gates, request: PruneRequest) -> JudgeTerms:
    """The metric of ``keep_metric`` is primary: the user says how much of it may go."""
    task = update_input.champion.contract.task
    metric = request.judge.metric or DEFAULT_METRIC[task]
    judged = dataclasses.replace(request.judge, metric=metric, margin=100.0 * request.keep_metric)
    terms = judged.read_terms(task, JudgePolicy.CHEAPER)
    return dataclasses.replace(terms, gates={**limits, **terms.gates})


def _propose(update_input: UpdateInput, points: RatioTrials, at: int, request: PruneRequest) -> Proposal:
    candidate = points.tried[at][1]
    limits: dict[str, dict[str, Any]] = {
        k: {"at_most": v} for k, v in (("latency", request.latency), ("size", request.size)) if v is not None
    }
    if saves_size(points.way):
        limits["cheaper"] = {"of": "size"}
    others = [c for i, (_, c) in enumerate(points.tried) if i != at]
    return Proposal(
        update_input,
        candidate,
        "prune",
        {"with": points.way, **candidate.recipe.settings},
        _read_terms(update_input, limits, request),
        costs_alike(points.way, update_input.champion, candidate.model, update_input.judged_rows.frame),
        listed=(candidate, *others),
    )
