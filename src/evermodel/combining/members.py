"""Several models as members of one ensemble, or with their weights averaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel, NoData
from evermodel.core.model.capabilities import WeightAccess
from evermodel.core.model.ensemble import Ensemble, average_models
from evermodel.core.model.model import Model
from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.metric import METRICS
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.judging.task_metrics import DEFAULT_METRIC

STRETCHES = 50  # of neighbouring rows, whose errors are dependent: the bootstrap draws them together
SURE = 0.9  # two-sided confidence; the judge asks for 95 %, one-sided


def list_members(parents: Sequence[Model]) -> list[tuple[Model, float]]:
    """The models with equal shares; an ensemble's share goes to its members.

    Raises BadModel with fewer than two parents, or where their inputs, target or classes differ.
    """
    if len(parents) < 2:
        raise BadModel(f"Fusing needs at least two models. Got {len(parents)}.", "Name more versions.")
    contracts = [p.contract for p in parents]
    if len({(c.task, c.roles.target, c.classes, tuple(c.names)) for c in contracts}) > 1:
        raise BadModel(
            "The models cannot be combined: their columns, targets or classes differ.",
            "Combine versions of one contract; update the older one first.",
        )
    members: list[tuple[Model, float]] = []
    for parent in parents:
        if isinstance(parent.obj, Ensemble):
            inner = zip(parent.obj.members, parent.obj.shares, strict=True)
            members += [(dataclasses.replace(m, contract=parent.contract), s / len(parents)) for m, s in inner]
        else:
            members.append((parent, 1.0 / len(parents)))
    return members


def build_ensemble(members: Sequence[tuple[Model, float]]) -> Model:
    """An ensemble that predicts the members' weighted mean; members with a share of 0 are left out."""
    kept = [(m, s) for m, s in members if s > 0]
    if len(kept) == 1:
        return kept[0][0]
    contract = kept[0][0].contract
    combined = average_models(contract, {f"member_{i}": m for i, (m, _) in enumerate(kept, 1)})
    total = sum(s for _, s in kept)
    shares = tuple(s / total for _, s in kept)
    return dataclasses.replace(combined, obj=dataclasses.replace(combined.obj, shares=shares))


def check_tuning_rows(tuning: Table | None, least: int = 30) -> Table:
    """The rows to choose among models with. Raises NoData where there are fewer than ``least``."""
    if tuning is None or len(tuning) < least:
        raise NoData(
            f"Choosing among models needs at least {least} rows that none of them was trained on. "
            f"Got {0 if tuning is None else len(tuning)}.",
            "Give newer labelled rows.",
        )
    return tuning


def build_scorer(model: Model, rows: Table) -> Callable[[Model], float]:
    """A function that scores a model on the rows by the task's default metric; -inf where that is undefined."""
    metric = METRICS.load(DEFAULT_METRIC[model.contract.task])
    y = model.target(rows)

    def score(other: Model) -> float:
        value = float(metric(y, other.answer_rows(rows)))
        return value if np.isfinite(value) else float("-inf")

    return score


def build_sure_scorer(first: Model, rows: Table) -> Callable[[Model], float]:
    """A function that scores a model by its sure gain over ``first``: the lower end of the paired interval.

    The gain of a model that predicts nearly as the first is known more exactly than a larger gain that scatters.
    """
    metric = DEFAULT_METRIC[first.contract.task]
    y, before = first.target(rows), first.answer_rows(rows)
    groups = None if len(rows) < 4 * STRETCHES else paired_bootstrap.split_stretches(len(rows), STRETCHES)
    if rows.roles.entity is not None:
        groups = rows.frame[rows.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)

    def score(other: Model) -> float:
        pair = PairedPredictions(y, before, other.answer_rows(rows), groups)
        low = compare_predictions(metric, pair, confidence=SURE).gain_low
        return low if np.isfinite(low) else float("-inf")

    return score


def get_matching_weights(models: Sequence[Model]) -> list[list[Array]]:
    """The parameters of each model. Raises BadModel unless framework, transform and shapes are the same."""
    first = models[0]
    plugin = first.framework
    if not isinstance(plugin, WeightAccess) or any(m.framework is not plugin for m in models):
        kinds = ", ".join(sorted({m.framework.__name__.rsplit(".", 1)[-1] for m in models}))
        raise BadModel(f"Weights can be averaged in networks and linear models of one kind. Got {kinds}.", "Use vote.")
    if any(m.transform != first.transform or m.output != first.output for m in models):
        raise BadModel(
            "The models normalize their inputs differently, so their weights cannot be averaged.",
            "Use vote or select, or fuse versions that were trained from one another.",
        )
    weights = [plugin.get_weights(m.obj) for m in models]
    shapes = [[w.shape for w in ws] for ws in weights]
    if any(s != shapes[0] for s in shapes):
        raise BadModel("The models have different structures.", "Use vote or select.")
    return weights


def replace_weights(model: Model, weights: Sequence[Array]) -> Model:
    """The model with other parameters of the same shapes. Raises BadModel where its framework gives no access."""
    if not isinstance(model.framework, WeightAccess):
        raise BadModel("The weights of this kind of model cannot be replaced.", "Use vote or select.")
    kept = [w.astype(old.dtype) for w, old in zip(weights, model.framework.get_weights(model.obj), strict=True)]
    return dataclasses.replace(model, obj=model.framework.replace_weights(model.obj, kept))


def average_weights(weights: Sequence[Sequence[Array]], shares: Sequence[float]) -> list[Array]:
    """The weighted mean of each parameter over the models, in float64."""
    total = float(sum(shares))
    parts = zip(*weights, strict=True)
    return [
        np.asarray(sum(s / total * w.astype(np.float64) for s, w in zip(shares, same, strict=True))) for same in parts
    ]
