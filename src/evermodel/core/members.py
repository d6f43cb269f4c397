"""Several models as members of one: laid open, weighed, their weights averaged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from evermodel.core import plugs, resampling
from evermodel.core.comparing import DEFAULT_METRIC, compare
from evermodel.core.ensemble import Ensemble, ensemble
from evermodel.core.errors import BadModel, NoData
from evermodel.core.framework import Weighted
from evermodel.core.judgement import PairedRows
from evermodel.core.model import Model
from evermodel.core.table import Array, Table

STRETCHES = 50  # neighbouring rows err alike: they are drawn together
SURE = 0.9  # two-sided: what the judge will ask at 95 % of one side


def plain_members(parents: Sequence[Model]) -> list[tuple[Model, float]]:
    """Each parent with an equal part; an ensemble's part goes to its members by their shares.

    Raises BadModel with fewer than two parents, or where they do not answer one question.
    """
    if len(parents) < 2:
        raise BadModel(f"Fusing needs at least two models. Got {len(parents)}.", "Name more versions.")
    asked = {(p.contract.task, p.contract.roles.target, p.contract.classes, tuple(p.contract.names)) for p in parents}
    if len(asked) > 1:
        raise BadModel("The models do not answer one question: their columns or classes differ.",
                       "Fuse versions of one contract: update the older one first.")  # fmt: skip
    found: list[tuple[Model, float]] = []
    for parent in parents:
        if isinstance(parent.obj, Ensemble):
            inner = zip(parent.obj.members, parent.obj.shares, strict=True)
            found += [(dataclasses.replace(m, contract=parent.contract), s / len(parents)) for m, s in inner]
        else:
            found.append((parent, 1.0 / len(parents)))
    return found


def as_ensemble(members: Sequence[tuple[Model, float]]) -> Model:
    """One model whose answer is the members' weighted mean; members without a part are left out."""
    kept = [(m, s) for m, s in members if s > 0]
    if len(kept) == 1:
        return kept[0][0]
    contract = kept[0][0].contract
    made = ensemble(contract, {f"member_{i}": m for i, (m, _) in enumerate(kept, 1)})
    total = sum(s for _, s in kept)
    return dataclasses.replace(made, obj=dataclasses.replace(made.obj, shares=tuple(s / total for _, s in kept)))


def tuning_rows(tuning: Table | None, least: int = 30) -> Table:
    """The rows a choice is made on. Raises NoData where there are too few to choose by."""
    if tuning is None or len(tuning) < least:
        raise NoData(
            f"Choosing among models needs at least {least} rows that none of them was trained on. "
            f"Got {0 if tuning is None else len(tuning)}.",
            "Give labelled rows that came since.",
        )
    return tuning


def scorer(model: Model, rows: Table) -> Callable[[Model], float]:
    """Scores a model on the rows by the task's own metric; higher is better."""
    metric = plugs.module("metrics", DEFAULT_METRIC[model.contract.task])
    score = getattr(metric, DEFAULT_METRIC[model.contract.task])
    y = model.target(rows)

    def scored(other: Model) -> float:
        value = float(score(y, other.predict(rows.frame)))
        return value if np.isfinite(value) else float("-inf")

    return scored


def surely(first: Model, rows: Table) -> Callable[[Model], float]:
    """Scores a model on the rows by what it is sure to gain on ``first``: the lower end of the paired interval.

    What does nearly as the first does is known better, row by row, than what is a little better on other rows.
    """
    metric = DEFAULT_METRIC[first.contract.task]
    y, was = first.target(rows), first.predict(rows.frame)
    groups = None if len(rows) < 4 * STRETCHES else resampling.stretches(len(rows), STRETCHES)
    if rows.roles.entity is not None:
        groups = rows.frame[rows.roles.entity].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)

    def scored(other: Model) -> float:
        pair = PairedRows(y, was, other.predict(rows.frame), groups)
        low = compare(metric, pair, confidence=SURE).gain_low
        return low if np.isfinite(low) else float("-inf")

    return scored


def weights_alike(models: Sequence[Model]) -> list[list[Array]]:
    """The models' parameters, where they can be averaged at all: one framework, one transform, equal shapes.

    Raises BadModel where they cannot.
    """
    first = models[0]
    plug = first.framework
    if not isinstance(plug, Weighted) or any(m.framework is not plug for m in models):
        kinds = ", ".join(sorted({m.framework.__name__.rsplit(".", 1)[-1] for m in models}))
        raise BadModel(f"Weights can be averaged in networks and linear models of one kind. Got {kinds}.", "Use vote.")
    if any(m.transform != first.transform or m.output != first.output for m in models):
        raise BadModel("The models normalise their input differently: a mean of their weights means nothing.",
                       "Use vote or select, or fuse versions that a warm start made.")  # fmt: skip
    found = [plug.weights(m.obj) for m in models]
    shapes = [[w.shape for w in ws] for ws in found]
    if any(s != shapes[0] for s in shapes):
        raise BadModel("The models are of different structures.", "Use vote or select.")
    return found


def with_weights(model: Model, weights: Sequence[Array]) -> Model:
    assert isinstance(model.framework, Weighted)  # noqa: S101  # weights_alike said so
    kept = [w.astype(old.dtype) for w, old in zip(weights, model.framework.weights(model.obj), strict=True)]
    return dataclasses.replace(model, obj=model.framework.with_weights(model.obj, kept))


def mean_weights(weights: Sequence[Sequence[Array]], shares: Sequence[float]) -> list[Array]:
    """The weighted mean of each parameter over the models, in float64."""
    total = float(sum(shares))
    parts = zip(*weights, strict=True)
    return [
        np.asarray(sum(s / total * w.astype(np.float64) for s, w in zip(shares, same, strict=True))) for same in parts
    ]
