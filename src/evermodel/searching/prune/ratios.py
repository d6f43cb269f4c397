"""Tries ratios, and keeps what each costs and scores: the list from which a ratio is chosen."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from evermodel.combining.members import build_scorer, check_tuning_rows
from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import Quantisable, WeightAccess
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import PRUNERS, CompressedSizeSaver, Context, SizeSaver, Split
from evermodel.core.model.training import label_epochs, label_training, number_epochs_on
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import PruningTrial
from evermodel.core.records.verdict import Cost
from evermodel.core.settings import settings_of
from evermodel.registry.serving_cost import REPEATS as REPEATS_OF_COSTS
from evermodel.registry.serving_cost import costs_of, measure_compressed_size
from evermodel.searching.resumable_job import ResumableWork
from evermodel.updating.recipes import Recipe
from evermodel.updating.trained_candidate import TrainedCandidate

REPEATS = 5  # predictions that a point's latency is the median of; the winner's is measured anew
AIM = 0.95  # of the asked latency or size: measurements scatter
MOST = 0.97  # of a model that may go
SAFE = 0.25  # tried in any case: where more is not shown to be harmless, so much may be
STEPS = 5  # halvings of the range of ratios


class RatioTrials:
    """All tries of one way to prune one model."""

    def __init__(
        self,
        way: str,
        settings: Mapping[str, Any],
        parent: Model,
        split: Split,
        context: Context,
        hear: Callable[[PruningTrial], None],
        unfinished: ResumableWork | None = None,
    ) -> None:
        self.way, self.settings, self.parent, self.split, self.context = way, dict(settings), parent, split, context
        self.rows = check_tuning_rows(split.tuning_rows)
        self.score = build_scorer(parent, self.rows)
        self.base = self.score(parent)
        self.hear = hear
        self.tried: list[tuple[PruningTrial, TrainedCandidate]] = []
        self.unfinished = unfinished

    def run(self, ratio: float) -> PruningTrial:
        """Prunes by ``ratio``, with recovery; measured and remembered. What an interrupted run did is not redone."""
        point, model, curve = self._found(ratio) or self._new(ratio)
        recipe = Recipe(self.way, {**self.settings, "ratio": ratio})
        self.tried.append((point, TrainedCandidate(recipe, model, point.seconds, tuple(curve))))
        self.hear(point)
        return point

    def _new(self, ratio: float) -> tuple[PruningTrial, Model, list[Epoch]]:
        began, curve = time.monotonic(), list[Epoch]()
        model = self._pruned(ratio, curve, {})
        seconds = time.monotonic() - began
        before, after = self._costs(model)
        point = PruningTrial(
            ratio, after.latency / max(before.latency, 1e-9), after.size / before.size, self.score(model), seconds
        )
        if self.unfinished:
            told = {"point": dataclasses.asdict(point), "curve": [dataclasses.asdict(e) for e in curve]}
            self.unfinished.keep(f"{ratio:g}", told, model)
        return point, model, curve

    def _found(self, ratio: float) -> tuple[PruningTrial, Model, list[Epoch]] | None:
        told = self.unfinished.read(f"{ratio:g}") if self.unfinished else None
        model = self.unfinished.model(f"{ratio:g}") if self.unfinished and told else None
        if told is None or model is None:
            return None
        return PruningTrial(**told["point"]), model, [Epoch(**e) for e in told["curve"]]

    def reaching(self, what: str, times: float) -> float:
        """The smallest ratio that brings latency or size below ``times`` the parent's; nothing is trained for it.

        Raises BadSetting where none does.
        """
        told = self.unfinished.read(f"{what} {times:g}") if self.unfinished else None
        if told is not None:  # measured again, it would be another ratio
            return float(told["ratio"])
        aim = AIM * times
        if self._left(what, MOST) > aim:
            raise BadSetting(
                f"No ratio brings {what} to {times:g} times the champion's: taking out {MOST:.0%} leaves "
                f"{self._left(what, MOST):.2f} of it.",
                "Ask for less.",
            )
        low, high = 0.0, MOST
        for _ in range(STEPS + 1):
            middle = (low + high) / 2
            low, high = (low, middle) if self._left(what, middle) <= aim else (middle, high)
        if self.unfinished:
            self.unfinished.keep(f"{what} {times:g}", {"ratio": round(high, 3)})
        return round(high, 3)

    def within(self, tolerance: float) -> None:
        """Tries ratios by halving for the largest that costs no more than ``tolerance`` of the score."""
        low, high = 0.0, 1.0
        for _ in range(STEPS - 1):
            middle = (low + high) / 2
            point = self.run(round(middle, 3))
            low, high = (middle, high) if point.score >= self.base - tolerance else (low, middle)
        if min(p.ratio for p, _ in self.tried) > SAFE:
            self.run(SAFE)

    def in_order(self, tolerance: float) -> list[int]:
        """The points within the tolerance, the least pruned first; the best one where none is."""
        fit = [i for i, (p, _) in enumerate(self.tried) if p.score >= self.base - tolerance]
        if not fit:
            return [max(range(len(self.tried)), key=lambda i: self.tried[i][0].score)]
        return sorted(fit, key=lambda i: self.tried[i][0].ratio)

    def points(self) -> tuple[PruningTrial, ...]:
        """By ratio, those marked that no other beats."""
        found = [p for p, _ in self.tried]

        def beaten(p: PruningTrial) -> bool:
            return any(
                q.latency <= p.latency and q.score >= p.score and (q.latency, q.score) != (p.latency, p.score)
                for q in found
            )

        return tuple(dataclasses.replace(p, pareto=not beaten(p)) for p in sorted(found, key=lambda p: p.ratio))

    def _left(self, what: str, ratio: float) -> float:
        plugin = PRUNERS.load(self.way)
        untrained = {"recover": False} if any(s.name == "recover" for s in settings_of(plugin)) else {}
        before, after = self._costs(self._pruned(ratio, [], untrained))
        return after.latency / max(before.latency, 1e-9) if what == "latency" else after.size / before.size

    def _costs(self, model: Model) -> tuple[Cost, Cost]:
        return costs_alike(self.way, self.parent, model, self.rows.frame, repeats=REPEATS)

    def _pruned(self, ratio: float, curve: list[Epoch], more: Mapping[str, Any]) -> Model:
        """One model; of several that answer together, each by itself."""
        told = {**self.settings, **more, "ratio": ratio}
        listen = label_training(self.context.on_epoch, f"training after pruning, ratio {ratio:g}")

        def keep(epoch: Epoch) -> None:
            curve.append(epoch)
            listen(epoch)

        hear = number_epochs_on(keep)  # each step's recovery begins with its own epoch 1
        context = dataclasses.replace(self.context, on_epoch=hear)
        if not isinstance(self.parent.obj, Ensemble):
            return context.run_plugin(PRUNERS, self.way, [self.parent], self.split, **told)
        members = []
        for role, member in self.parent.obj.by_role.items():
            own = dataclasses.replace(context, on_epoch=label_epochs(hear, role))
            whole = dataclasses.replace(member, contract=self.parent.contract)
            members.append(own.run_plugin(PRUNERS, self.way, [whole], self.split, **told))
        return dataclasses.replace(self.parent, obj=dataclasses.replace(self.parent.obj, members=tuple(members)))


def costs_alike(
    way: str, before: Model, after: Model, frame: pl.DataFrame, repeats: int = REPEATS_OF_COSTS
) -> tuple[Cost, Cost]:
    """What both cost, measured alike: without their optimizer's memory, compressed where that is all a way saves."""
    models = [_without_memory(before), _without_memory(after)]
    costs = costs_of(models, frame, repeats=repeats)
    if saves_when_compressed(way):
        costs = [measure_compressed_size(cost, model) for cost, model in zip(costs, models, strict=True)]
    return costs[0], costs[1]


def _without_memory(model: Model) -> Model:
    """A network as it is before its first step: the memory of an optimizer is no part of what is served."""
    if isinstance(model.obj, Ensemble):
        members = tuple(map(_without_memory, model.obj.members))
        return dataclasses.replace(model, obj=dataclasses.replace(model.obj, members=members))
    plugin = model.framework
    if not model.signature.network or not isinstance(plugin, WeightAccess):
        return model
    if isinstance(plugin, Quantisable) and plugin.is_quantised(model.obj):  # made with none
        return model
    return dataclasses.replace(model, obj=plugin.replace_weights(model.obj, plugin.get_weights(model.obj)))


def saves_when_compressed(way: str) -> bool:
    """Whether all that this way saves is the size of compressed files."""
    return isinstance(PRUNERS.load_module(way), CompressedSizeSaver)


def saves_size(way: str) -> bool:
    """Whether size alone is what this way saves."""
    return isinstance(PRUNERS.load_module(way), SizeSaver)
