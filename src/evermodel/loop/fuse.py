"""Make one model of several versions; what comes out is a challenger like any other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core import plugs
from evermodel.core.change import Context, Split
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting, ContractBroken
from evermodel.core.members import scorer
from evermodel.core.model import Model
from evermodel.core.settings import read_settings
from evermodel.core.store import Card, Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop.auto import Recipe
from evermodel.loop.challenge import Asked, challenge, fields_of
from evermodel.loop.costs import costs_of
from evermodel.loop.fair_past import with_fair_past
from evermodel.loop.home import card_of, champion_of, open_home
from evermodel.loop.making import Made
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import Updated
from evermodel.loop.scoring import check_metric
from evermodel.loop.unseen import choosing, prepare_unseen
from evermodel.loop.versions import load_version

AUTO = ("soup", "average", "select", "stack")  # what auto tries, in this order; a single model first
NEAR = 0.002  # of the score: a model as fast as one member is preferred to an ensemble that is this little better


@dataclass(frozen=True)
class Member:
    """One of the fused versions, and what it scored on the rows the choice was made on."""

    version: str
    score: float


@dataclass(frozen=True)
class Fused(Updated):
    """What fusing made, and what the judge said of it. ``latency``, ``size``: champion -> challenger."""

    members: tuple[Member, ...] = ()
    latency: tuple[float, float] = (float("nan"), float("nan"))  # seconds a batch
    size: tuple[int, int] = (0, 0)  # bytes

    def lines(self) -> list[str]:
        head, *rest = super().lines()
        of = ", ".join(f"{m.version} {m.score:.4f}" for m in self.members)
        cost = f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, " \
               f"{self.size[0]:,} -> {self.size[1]:,} bytes"  # fmt: skip
        return [head, f"  members  {of}", cost, *rest]


def fuse(
    name: str,
    versions: Sequence[str],
    *,
    data: Any = None,
    with_: str = "auto",
    settings: Mapping[str, Any] | None = None,
    latency: float | None = None,
    metric: str | None = None,
    margin: float | None = None,
    accept: Collection[str] = (),
    seed: int = 0,
    home: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> Fused:
    """Make one model of several versions, judge it against the champion, serve the better one.

    ``with_`` names a plug of fusers/, or auto: a mean of weights where it is as good as an ensemble of answers.
    ``data``: labelled rows that no version was trained on; a part is for choosing, the newest judge. Without, the rows
    kept out of all training. ``latency`` caps the challenger's at so many times the champion's. Raises BadModel,
    NoData, NotFound, Moved.

        $ evermodel fuse churn v2 v3 v5 --data april.csv
    """
    began = time.monotonic()
    store = open_home(home)
    if with_ != "auto":
        settings = read_settings(plugs.function("fusers", with_), settings or {})
    elif settings:
        raise BadSetting(f"'auto' chooses its own settings. Got {', '.join(settings)}.", "Name the way: --with select.")
    champion_of(store, name)
    cards = _cards(store, name, versions)
    prepared = prepare_unseen(store, name, data, accept, seed)
    check_metric(metric, prepared.champion.contract.task)
    models = [_loaded(store, card, prepared) for card in cards]
    split = choosing(prepared)
    context = Context(seed, None, on_epoch)
    ancestor = _ancestor(store, name, cards, prepared)
    made = _made(with_, settings or {}, models, ancestor, split, context)
    members = _members(cards, models, split)
    costs = costs_of([prepared.champion, made[0].model], prepared.judging.frame)

    def dressed(updated: Updated) -> Fused:
        return Fused(**fields_of(updated), members=members, latency=(costs[0].latency, costs[1].latency),
                     size=(costs[0].size, costs[1].size))  # fmt: skip

    gates = {} if latency is None else {"latency": {"at_most": latency}}
    told = {"with": made[0].recipe.change, **made[0].recipe.settings, "of": ",".join(c.version for c in cards)}
    asked = Asked("fuse", told, "better", metric, margin, gates, (costs[0], costs[1]))
    prepared = with_fair_past(store, prepared, context)
    result = challenge(store, prepared, made[0], asked, context, finish=False, dressed=dressed, beside=made[1:])
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def fused_again(store: Store, prepared: Prepared, card: Card, context: Context) -> Model:
    """The same versions fused again in the way that was chosen; no other is tried."""
    told = {k: v for k, v in card.settings.items() if k not in ("with", "of")}
    cards = _cards(store, card.name, card.settings["of"].split(","))
    models = [_loaded(store, c, prepared) for c in cards]
    ancestor = _ancestor(store, card.name, cards, prepared)
    return _one(card.settings["with"], told, models, ancestor, choosing(prepared), context).model


def _cards(store: Store, name: str, versions: Sequence[str]) -> list[Card]:
    cards = [card_of(store, name, v) for v in versions]
    names = [c.version for c in cards]
    if len(names) < 2 or len(set(names)) < len(names):
        raise AskedWrongly(f"Fusing takes two or more different versions. Got {', '.join(versions) or 'none'}.",
                           f"'evermodel show {name}' lists them.")  # fmt: skip
    return cards


def _loaded(store: Store, card: Card, prepared: Prepared) -> Model:
    """The version under the contract as it stands now. Raises ContractBroken where it means something else by rows."""
    model, now = load_version(store, card), prepared.champion.contract
    both = min(len(model.contract.classes), len(now.classes))
    if model.contract.names != now.names or model.contract.classes[:both] != now.classes[:both]:
        raise ContractBroken(f"{card.version} expects other columns or classes than the champion.",
                             "Leave it out, or update it first.")  # fmt: skip
    return dataclasses.replace(model, contract=now)


def _made(
    with_: str, settings: Mapping[str, Any], models: Sequence[Model], ancestor: Model | None, split: Split,
    context: Context,
) -> list[Made]:  # fmt: skip
    """What was asked for; of several ways the best on the rows to choose by first, the others behind it."""
    if with_ != "auto":
        return [_one(with_, settings, models, ancestor, split, context)]
    found: list[tuple[float, Made]] = []
    why = ""
    for way in AUTO:
        try:
            made = _one(way, {}, models, ancestor, split, context)
        except BadModel as error:
            why = error.message
            continue
        assert split.tuning is not None  # noqa: S101  # choosing() gives them
        found.append((scorer(made.model, split.tuning)(made.model), made))
    if not found:
        raise BadModel(f"None of {', '.join(AUTO)} could fuse these versions ({why}).")
    best = max(score for score, _ in found)
    first = next(m for score, m in found if score >= best - NEAR)
    return [first, *(m for _, m in found if m is not first)]


def _one(
    way: str, settings: Mapping[str, Any], models: Sequence[Model], ancestor: Model | None, split: Split,
    context: Context,
) -> Made:  # fmt: skip
    began, curve = time.monotonic(), list[Epoch]()

    def hear(epoch: Epoch) -> None:
        curve.append(epoch)
        context.on_epoch(epoch)

    parents = list(models)
    if getattr(plugs.module("fusers", way), "NEEDS_ANCESTOR", False):
        if ancestor is None:
            raise BadModel(f"{way} needs a common ancestor; these versions have none besides themselves.", "Use vote.")
        parents = [ancestor, *parents]
    told = dataclasses.replace(context, on_epoch=hear)
    model = told.run("fusers", way, parents, split, **settings)
    return Made(Recipe(way, settings), model, time.monotonic() - began, tuple(curve))


def _ancestor(store: Store, name: str, cards: Sequence[Card], prepared: Prepared) -> Model | None:
    """The newest version that all of them come from, and that is none of them."""
    lines = [_line(store, card) for card in cards]
    chosen = {c.version for c in cards}
    common = [v for v in lines[0] if v not in chosen and all(v in line for line in lines)]
    return None if not common else _loaded(store, store.card(name, common[0]), prepared)


def _line(store: Store, card: Card) -> list[str]:
    """The version's forebears by first parents, newest first."""
    found, at = [card.version], card
    while at.parents and at.parents[0] not in found:
        at = store.card(card.name, at.parents[0])
        found.append(at.version)
    return found


def _members(cards: Sequence[Card], models: Sequence[Model], split: Split) -> tuple[Member, ...]:
    if split.tuning is None or not len(split.tuning):
        return tuple(Member(c.version, float("nan")) for c in cards)
    score = scorer(models[0], split.tuning)
    return tuple(Member(c.version, score(m)) for c, m in zip(cards, models, strict=True))
