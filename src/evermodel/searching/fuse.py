"""Make one model of several versions; what comes out is a challenger like any other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evermodel.combining.members import build_scorer
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting, ContractBroken
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import FUSERS, AncestorFuser, Context, Split
from evermodel.core.model.training import ignore_epoch, label_training
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import FusionMember, ServingCost
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.records.version_card import VersionCard
from evermodel.core.settings import read_settings
from evermodel.core.store import Store
from evermodel.judging.judge_request import Gates, JudgeRequest
from evermodel.registry.lookup import card_of, champion_of, open_store
from evermodel.registry.serving_cost import costs_of
from evermodel.registry.update_result import UpdateResult
from evermodel.registry.versions import load_version
from evermodel.updating.pipeline import conclude, judge_proposal, result_fields
from evermodel.updating.recipes import Recipe
from evermodel.updating.remembered_rows import read_unseen_rows, split_for_choosing
from evermodel.updating.stages import Proposal
from evermodel.updating.trained_candidate import TrainedCandidate
from evermodel.updating.update_input import UpdateInput
from evermodel.updating.verdicts.retention_baseline import add_retention_baseline

AUTO = ("soup", "average", "select", "stack")  # what auto tries, in this order; a single model first
NEAR = 0.002  # of the score: a model as fast as one member is preferred to an ensemble that is this little better


@dataclass(frozen=True)
class FuseResult(UpdateResult):
    """What fusing made, and what the judge said of it. ``latency``, ``size``: champion -> challenger."""

    members: tuple[FusionMember, ...] = ()
    latency: tuple[float, float] = (float("nan"), float("nan"))  # seconds a batch
    size: tuple[int, int] = (0, 0)  # bytes

    def lines(self) -> list[str]:
        head, *rest = super().lines()
        of = ", ".join(f"{m.version} {m.score:.4f}" for m in self.members)
        cost = (
            f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, "
            f"{self.size[0]:,} -> {self.size[1]:,} bytes"
        )
        return [head, f"  members  {of}", cost, *rest]


@dataclass(frozen=True)
class FuseRequest:
    """What is asked of a fusion, beside the versions and the rows. ``fuse`` explains each."""

    fuser: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    latency: float | None = None
    judge: JudgeRequest = field(default_factory=JudgeRequest)
    accept: Collection[str] = ()
    seed: int = 0
    on_epoch: Callable[[Epoch], None] = ignore_epoch


def fuse(
    name: str,
    versions: Sequence[str],
    *,
    data: Any = None,
    fuser: str = "auto",
    settings: Mapping[str, Any] | None = None,
    latency: float | None = None,
    metric: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    policy: str | None = None,
    gates: Gates | None = None,
    accept: Collection[str] = (),
    seed: int = 0,
    registry: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> FuseResult:
    """Make one model of several versions, judge it against the champion, serve the better one.

    ``fuser`` names a plugin of fusers/, or auto: a mean of weights where it is as good as an ensemble of answers.
    ``data``: labelled rows that no version was trained on; a part is for choosing, the newest judge. Without, the rows
    kept out of all training. ``latency`` caps the challenger's at so many times the champion's. Raises BadModel,
    NoData, NotFound, Moved.

        $ evermodel fuse churn v2 v3 v5 --data april.csv
    """
    began = time.monotonic()
    request = FuseRequest(
        fuser,
        settings or {},
        latency,
        JudgeRequest(metric, margin, policy, gates or {}),
        accept,
        seed,
        on_epoch,
    )
    result = fuse_versions(open_store(registry), name, versions, data, request)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def fuse_versions(store: Store, name: str, versions: Sequence[str], data: Any, request: FuseRequest) -> FuseResult:
    """One fusion through the pipeline."""
    settings = _read_settings(request)
    champion_of(store, name)
    cards = _cards(store, name, versions)
    update_input = read_unseen_rows(store, name, data, request.accept, request.seed)
    terms = request.judge.read_terms(update_input.champion.contract.task, JudgePolicy.BETTER)
    if request.latency is not None:
        terms = dataclasses.replace(terms, gates={"latency": {"at_most": request.latency}, **terms.gates})
    models = [_load_member(store, card, update_input) for card in cards]
    split = split_for_choosing(update_input)
    context = Context(request.seed, None, request.on_epoch)
    ancestor = _common_ancestor(store, name, cards, update_input)
    fused = _fuse(request.fuser, settings, models, ancestor, split, context)
    best = fused[0]
    members = _members(cards, models, split)
    costs = costs_of([update_input.champion, best.model], update_input.judged_rows.frame)
    proposal = Proposal(
        add_retention_baseline(store, update_input, context),
        best,
        "fuse",
        {"with": best.recipe.strategy, **best.recipe.settings, "of": ",".join(c.version for c in cards)},
        terms,
        (costs[0], costs[1]),
        listed=tuple(fused),
        fusion=members,
        serving_cost=ServingCost((costs[0].latency, costs[1].latency), (costs[0].size, costs[1].size)),
    )

    def extend(result: UpdateResult) -> FuseResult:
        return FuseResult(
            **result_fields(result),
            members=members,
            latency=(costs[0].latency, costs[1].latency),
            size=(costs[0].size, costs[1].size),
        )

    return conclude(store, judge_proposal(store, proposal), context, refit=False, extend=extend)


def fuse_again(store: Store, update_input: UpdateInput, card: VersionCard, context: Context) -> Model:
    """The same versions fused again with the fuser that was chosen; no other is tried."""
    settings = {k: v for k, v in card.settings.items() if k not in ("with", "of")}
    cards = _cards(store, card.name, card.settings["of"].split(","))
    models = [_load_member(store, c, update_input) for c in cards]
    ancestor = _common_ancestor(store, card.name, cards, update_input)
    split = split_for_choosing(update_input)
    return _fuse_with(card.settings["with"], settings, models, ancestor, split, context).model


def _read_settings(request: FuseRequest) -> Mapping[str, Any]:
    if request.fuser != "auto":
        return read_settings(FUSERS.load(request.fuser), request.settings)
    if request.settings:
        raise BadSetting(
            f"'auto' chooses its own settings. Got {', '.join(request.settings)}.",
            "Name a fuser, for example 'select'.",
        )
    return {}


def _cards(store: Store, name: str, versions: Sequence[str]) -> list[VersionCard]:
    cards = [card_of(store, name, v) for v in versions]
    names = [c.version for c in cards]
    if len(names) < 2 or len(set(names)) < len(names):
        raise AskedWrongly(
            f"Fusing takes two or more different versions. Got {', '.join(versions) or 'none'}.",
            f"'evermodel show {name}' lists them.",
        )
    return cards


def _load_member(store: Store, card: VersionCard, update_input: UpdateInput) -> Model:
    """The version under the contract as it stands now. Raises ContractBroken where its columns or classes differ."""
    model, contract = load_version(store, card), update_input.champion.contract
    both = min(len(model.contract.classes), len(contract.classes))
    if model.contract.names != contract.names or model.contract.classes[:both] != contract.classes[:both]:
        raise ContractBroken(
            f"{card.version} expects other columns or classes than the champion.", "Leave it out, or update it first."
        )
    return dataclasses.replace(model, contract=contract)


def _fuse(
    fuser: str,
    settings: Mapping[str, Any],
    models: Sequence[Model],
    ancestor: Model | None,
    split: Split,
    context: Context,
) -> list[TrainedCandidate]:
    """With the fuser that was named; of "auto" all that work, the best on the rows to choose by first."""
    if fuser != "auto":
        return [_fuse_with(fuser, settings, models, ancestor, split, context)]
    scored: list[tuple[float, TrainedCandidate]] = []
    last_error = ""
    for name in AUTO:
        try:
            candidate = _fuse_with(name, {}, models, ancestor, split, context)
        except BadModel as error:
            last_error = error.message
            continue
        assert split.tuning_rows is not None  # noqa: S101  # split_for_choosing gives them
        scored.append((build_scorer(candidate.model, split.tuning_rows)(candidate.model), candidate))
    if not scored:
        raise BadModel(f"None of {', '.join(AUTO)} could fuse these versions ({last_error}).")
    best = max(score for score, _ in scored)
    first = next(candidate for score, candidate in scored if score >= best - NEAR)
    return [first, *(candidate for _, candidate in scored if candidate is not first)]


def _fuse_with(
    fuser: str,
    settings: Mapping[str, Any],
    models: Sequence[Model],
    ancestor: Model | None,
    split: Split,
    context: Context,
) -> TrainedCandidate:
    began, curve = time.monotonic(), list[Epoch]()
    listen = label_training(context.on_epoch, f"training for {fuser}")

    def record(epoch: Epoch) -> None:
        curve.append(epoch)
        listen(epoch)

    parents = list(models)
    if isinstance(FUSERS.load_module(fuser), AncestorFuser):
        if ancestor is None:
            raise BadModel(
                f"{fuser} needs a common ancestor; these versions have none besides themselves.", "Use vote."
            )
        parents = [ancestor, *parents]
    recording = dataclasses.replace(context, on_epoch=record)
    model = recording.run_plugin(FUSERS, fuser, parents, split, **settings)
    return TrainedCandidate(Recipe(fuser, settings), model, time.monotonic() - began, tuple(curve))


def _common_ancestor(store: Store, name: str, cards: Sequence[VersionCard], update_input: UpdateInput) -> Model | None:
    """The newest version that all of them come from, and that is none of them."""
    lines = [_first_parents(store, card) for card in cards]
    fused = {c.version for c in cards}
    common = [v for v in lines[0] if v not in fused and all(v in line for line in lines)]
    return None if not common else _load_member(store, store.read_card(name, common[0]), update_input)


def _first_parents(store: Store, card: VersionCard) -> list[str]:
    """The version and its ancestors by first parents, newest first."""
    line, at = [card.version], card
    while at.parents and at.parents[0] not in line:
        at = store.read_card(card.name, at.parents[0])
        line.append(at.version)
    return line


def _members(cards: Sequence[VersionCard], models: Sequence[Model], split: Split) -> tuple[FusionMember, ...]:
    if split.tuning_rows is None or not len(split.tuning_rows):
        return tuple(FusionMember(c.version, float("nan")) for c in cards)
    score = build_scorer(models[0], split.tuning_rows)
    return tuple(FusionMember(c.version, score(m)) for c, m in zip(cards, models, strict=True))
