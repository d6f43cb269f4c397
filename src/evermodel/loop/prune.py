"""Make a model smaller and faster; what comes out is a challenger like any other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core import plugs
from evermodel.core.change import Context
from evermodel.core.ensemble import Ensemble
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.framework import Prunable, Truncating
from evermodel.core.judgement import Cost
from evermodel.core.model import Model
from evermodel.core.settings import read_settings
from evermodel.core.store import Card, Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop._prune.points import Point, Points, costs_alike, saves_size, saves_when_compressed
from evermodel.loop.challenge import Asked, challenge, fields_of, stood
from evermodel.loop.fair_past import ENOUGH, with_fair_past
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.prepare import Prepared
from evermodel.loop.results import Updated, number
from evermodel.loop.scoring import check_metric
from evermodel.loop.unfinished import Unfinished
from evermodel.loop.unseen import choosing, prepare_unseen

JUDGED = 0.5  # of the new rows: that little is lost takes more of them to show than a gain, and none are learnt later
KEEP = 0.005  # of the score: what may be lost where nobody says it


@dataclass(frozen=True)
class Pruned(Updated):
    """What pruning made, and what the judge said of it. ``latency``, ``size``: champion -> challenger."""

    ratio: float = float("nan")
    base: float = float("nan")  # the champion's score on the rows to choose by
    tried: tuple[Point, ...] = ()  # by ratio; their latency and size are times the champion's
    latency: tuple[float, float] = (float("nan"), float("nan"))  # seconds a batch
    size: tuple[int, int] = (0, 0)  # bytes
    compressed: bool = False  # size is that of the compressed files: all that this way of pruning saves

    def lines(self) -> list[str]:
        head, *rest = super().lines()
        points = ", ".join(f"{p.ratio:g}: x{p.latency:.2f} {number(p.score, '.4f')}" for p in self.tried)
        packed = " compressed" if self.compressed else ""
        cost = f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, " \
               f"{self.size[0]:,} -> {self.size[1]:,} bytes{packed}"  # fmt: skip
        return [head, f"  removed  {self.ratio:g} (tried {points})", cost, *rest]


def prune(
    name: str,
    data: Any = None,
    *,
    with_: str = "auto",
    settings: Mapping[str, Any] | None = None,
    ratio: float | None = None,
    latency: float | None = None,
    size: float | None = None,
    keep_metric: float = KEEP,
    metric: str | None = None,
    accept: Collection[str] = (),
    resume: bool = False,
    seed: int = 0,
    home: str | Path | None = None,
    on_point: Callable[[Point], None] = lambda point: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> Pruned:
    """Make the champion smaller and faster, judge that it is no worse and cheaper, serve it then.

    ``with_`` names a plug of pruners/, or auto. ``ratio`` of it goes; or as much as ``latency`` or ``size`` (times the
    champion's, measured) ask; or, of five ratios tried, the most that costs ``keep_metric`` of the score on rows to
    choose by. The judge asks the same margin on rows nobody has seen: of ``data``, else those kept out of training.
    ``resume`` goes on where the same pruning was interrupted. Raises BadModel, BadSetting, NoData, NotFound, Moved.

        $ evermodel prune churn april.csv --latency 0.5x
    """
    began = time.monotonic()
    store = open_home(home)
    _check(ratio, latency, size, keep_metric)
    champion_of(store, name)
    told = _settings(with_, settings or {})
    prepared = prepare_unseen(store, name, data, accept, seed, JUDGED)
    check_metric(metric, prepared.champion.contract.task)
    way = _way(prepared.parent) if with_ == "auto" else with_
    context = Context(seed, None, on_epoch)
    prepared = with_fair_past(store, prepared, context, enough=ENOUGH)
    key = [prepared.rows_key, prepared.card.version, way, dict(told), seed]
    unfinished = Unfinished(store, name, "prune", key, resume=resume)
    points = Points(way, told, prepared.parent, choosing(prepared), context, on_point, unfinished)
    _search(points, ratio, latency, size, keep_metric)
    limits: dict[str, dict[str, Any]] = {
        k: {"at_most": v} for k, v in (("latency", latency), ("size", size)) if v is not None
    }
    if saves_size(way):
        limits["cheaper"] = {"of": "size"}
    asked = Asked("prune", {}, "not_worse_and_cheaper", metric, 100.0 * keep_metric, limits)
    result = _judged(store, prepared, points, points.in_order(keep_metric), asked)
    unfinished.clear()
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def pruned_again(store: Store, prepared: Prepared, card: Card, context: Context) -> Model:
    """The version's parent pruned again by the ratio that was chosen; no other is tried."""
    told = {k: v for k, v in card.settings.items() if k not in ("with", "ratio")}
    prepared = with_fair_past(store, prepared, context, enough=ENOUGH)
    points = Points(card.settings["with"], told, prepared.parent, choosing(prepared), context, lambda point: None)
    points.run(card.settings["ratio"])
    return points.tried[0][1].model


def _check(ratio: float | None, latency: float | None, size: float | None, keep_metric: float) -> None:
    if sum(v is not None for v in (ratio, latency, size)) > 1:
        raise BadSetting("Ask for one of ratio, latency and size.", "The other two follow from it.")
    for what, value in (("ratio", ratio), ("latency", latency), ("size", size)):
        if value is not None and not 0.0 < value < 1.0:
            raise BadSetting(f"{what} must be above 0 and below 1. Got {value:g}.", "0.5 is half.")
    if not 0.0 <= keep_metric < 1.0:
        raise BadSetting(f"keep_metric must be in [0, 1). Got {keep_metric:g}.", "0.005 is half a point.")


def _settings(with_: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    if with_ == "auto":
        if settings:
            raise BadSetting(
                f"'auto' chooses its own settings. Got {', '.join(settings)}.", "Name the way: --with trees."
            )
        return {}
    if "ratio" in settings:
        raise BadSetting("ratio is not among the settings.", "Say --ratio.")
    return read_settings(plugs.function("pruners", with_), settings)


def _way(model: Model) -> str:
    """Channels of networks, trees of boosters and forests, features of the rest."""
    one = model.obj.members[0] if isinstance(model.obj, Ensemble) else model
    try:
        if isinstance(one.framework, Prunable):
            one.framework.groups(one.obj)
            return "channels"
        if isinstance(one.framework, Truncating) and one.framework.trees(one.obj) > 1:
            return "trees"
    except BadModel:
        if one.needs.network:
            raise
    return "features"


def _search(points: Points, ratio: float | None, latency: float | None, size: float | None, keep: float) -> None:
    if ratio is not None:
        points.run(ratio)
    elif latency is not None:
        points.run(points.reaching("latency", latency))
    elif size is not None:
        points.run(points.reaching("size", size))
    else:
        points.within(keep)


def _judged(store: Store, prepared: Prepared, points: Points, order: Sequence[int], asked: Asked) -> Pruned:
    """From the safest size to the smallest, each before the judge at its full surety, until one does not pass.

    The last that passed is the challenger (the first, where none did). An order fixed beforehand needs no correction:
    a size that is worse is only reached, and only promoted, where the judge errs on it, which it does in 1 of 20.
    """
    chosen, costs = order[0], _costs(prepared, points, order[0])
    for at in order:
        now = _costs(prepared, points, at)
        told = _told(points, at, asked, now)
        passed = stood(store, prepared, points.tried[at][1], told).verdict.decision == "promote"
        if not passed:
            break
        chosen, costs = at, now
    point, made = points.tried[chosen]

    def dressed(updated: Updated) -> Pruned:
        return Pruned(
            **fields_of(updated), ratio=point.ratio, base=points.base, tried=points.points(),
            latency=(costs[0].latency, costs[1].latency),
            size=(costs[0].size, costs[1].size), compressed=saves_when_compressed(points.way),
        )  # fmt: skip

    others = [m for i, (_, m) in enumerate(points.tried) if i != chosen]
    told, context = _told(points, chosen, asked, costs), points.context
    return challenge(store, prepared, made, told, context, finish=False, dressed=dressed, beside=others)


def _costs(prepared: Prepared, points: Points, at: int) -> tuple[Cost, Cost]:
    return costs_alike(points.way, prepared.champion, points.tried[at][1].model, prepared.judging.frame)


def _told(points: Points, at: int, asked: Asked, costs: tuple[Cost, Cost]) -> Asked:
    settings = {"with": points.way, **points.tried[at][1].recipe.settings}
    return dataclasses.replace(asked, settings=settings, costs=costs)
