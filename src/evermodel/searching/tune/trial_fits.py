"""Trains and scores one point of the space on one fold."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import RoundCount, Tunable, convert_object
from evermodel.core.model.model import Model
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.training import label_training
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.search_record import Value, Values
from evermodel.core.stats.metric import METRICS
from evermodel.searching.tune.folds import Fold

TOLD = ("epochs", "batch_size", "learning_rate", "weight_decay")  # told to the training where the object has no place
USUAL: Values = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.0}
Curve = tuple[tuple[float, float], ...]  # share of the epochs, score then
Watch = Callable[[float, float], bool]  # (share of the epochs, score) -> whether to give up


@dataclass(frozen=True)
class Fit:
    """One training on one fold: ``score`` higher is better; ``predictions`` of the fold's rows unless given up."""

    score: float
    epochs: int
    curve: Curve
    stopped: bool = False
    predictions: Array | None = None


class _GivenUp(Exception):
    pass


@dataclass(frozen=True)
class Fits:
    """What a point is trained from: the deployed model, or the user's own ``build(values)``."""

    base: Model
    folds: Sequence[Fold]
    metric: str
    context: Context
    build: Callable[[dict[str, Value]], Any] | None = None

    def dimensions(self) -> dict[str, Dimension]:
        plugin = self.base.framework
        known = plugin.list_dimensions(self.base.obj) if isinstance(plugin, Tunable) else ()
        return {d.name: d for d in known}

    def incumbent(self, names: Sequence[str], kept: Values) -> dict[str, Value]:
        """The deployed values: the object's own, those ``kept`` on its version's card, else what is usual."""
        plugin = self.base.framework
        own = plugin.get_hyperparameters(self.base.obj) if isinstance(plugin, Tunable) and self.build is None else {}
        known = {**USUAL, **{k: v for k, v in kept.items() if k in names}, **own}
        return {n: known[n] for n in names if n in known}

    def model(self, values: Values) -> tuple[Model, dict[str, Any]]:
        """An untrained model of these values, and the settings its training is told."""
        if self.build is not None:
            return self._built(self.build(dict(values))), {k: v for k, v in values.items() if k in TOLD}
        plugin = self.base.framework
        if not isinstance(plugin, Tunable):
            raise BadModel(f"A model of {plugin.__name__.rsplit('.', 1)[-1]} has no hyperparameters that we know.")
        carried = set(plugin.get_hyperparameters(self.base.obj))
        own = {k: v for k, v in values.items() if k in carried}
        told = {k: v for k, v in values.items() if k not in carried}
        if unknown := set(told) - set(TOLD):
            raise BadSetting(f"{', '.join(sorted(unknown))} cannot be tuned for this model.")
        obj = plugin.replace_hyperparameters(self.base.obj, own) if own else self.base.obj
        return dataclasses.replace(self.base, obj=obj), told

    def _built(self, obj: Any) -> Model:
        if not self.base.framework.is_model(obj):
            raise BadModel(
                f"build(values) must return a model of the deployed one's framework. Got a {type(obj).__name__}.",
                "Build it with the same library as the deployed model.",
            )
        return dataclasses.replace(self.base, obj=convert_object(self.base.framework, obj))

    def total(self, values: Values) -> int:
        """Epochs, or boosting rounds, of one whole training of a point."""
        rounds, framework = values.get("rounds"), self.base.framework
        if not rounds and isinstance(framework, RoundCount):
            rounds = framework.count_rounds(self.base.obj)
        return int(rounds or values.get("epochs", USUAL["epochs"]))

    def fit(self, values: Values, fold: int, watch: Watch | None) -> Fit:
        """Trains the point on a fold's rows. Costs one training; less where ``watch`` gives it up."""
        model, told = self.model(values)
        listen = label_training(self.context.on_epoch, f"trial on fold {fold + 1} of {len(self.folds)}")
        rows, total, curve = self.folds[fold], self.total(values), list[tuple[float, float]]()
        heard = 0

        def hear(epoch: Epoch) -> None:
            nonlocal heard
            heard = epoch.number
            score = epoch.validation_score if epoch.validation_score is not None else -(epoch.validation_loss or 0.0)
            curve.append((epoch.number / total, float(score)))
            listen(epoch)
            if watch is not None and epoch.number < total and watch(*curve[-1]):
                raise _GivenUp

        context = dataclasses.replace(self.context, on_epoch=hear)
        try:
            made = context.run_strategy("refit", [model], Split(rows.train, None, rows.valid), **told)
        except _GivenUp:
            return Fit(curve[-1][1], heard, tuple(curve), stopped=True)
        p = made.predict(rows.valid.frame)
        return Fit(self._score(made.target(rows.valid), p), heard or total, tuple(curve), predictions=p)

    def _score(self, y: Array, p: Array) -> float:
        plugin = METRICS.load_module(self.metric)
        value = float(getattr(plugin, self.metric)(y, p))
        return value if plugin.HIGHER_IS_BETTER else -value

    def out_of_time(self) -> bool:
        return self.context.deadline is not None and time.monotonic() >= self.context.deadline


def at_share(curve: Curve, share: float) -> float:
    """The score of a curve at a share of its epochs."""
    return float(np.interp(share, [s for s, _ in curve], [v for _, v in curve]))
