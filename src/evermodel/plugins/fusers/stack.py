"""Stacking: how much each model counts is learnt, and how sure their mean may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.blending import MemberPredictions, predict_members
from evermodel.combining.members import build_ensemble, check_tuning_rows, list_members
from evermodel.core.arrays import Array
from evermodel.core.model.model import Model
from evermodel.core.model.output import softmax
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["stack"]

STEPS = 2_000


def stack(
    parents: Sequence[Model], data: Split, context: Context, /, *, shrink: Annotated[float, In(0.0, 1e6)] = 10.0
) -> Model:
    """Learn weights >= 0 of the models' log probabilities (or values) on ``data.tuning_rows``; their sum is a
    temperature.

    ``shrink``: rows' worth of pull towards equal weights, against learning noise. Better than vote where some models
    are much better than others. Costs one prediction of each model. Raises NoData, BadModel.

        $ evermodel fuse churn v2 v3 v5 --with stack --data april.csv

    Source: Breiman, Stacked regressions, 1996
    """
    members = [m for m, _ in list_members(parents)]
    weights = _learnt(predict_members(members, check_tuning_rows(data.tuning_rows)), shrink)
    stacked = build_ensemble([(m, float(w)) for m, w in zip(members, weights, strict=True)])
    if stacked.contract.task == "regression" or stacked.obj is members[0].obj:
        return stacked
    temperature = float(np.clip(1.0 / weights.sum(), 0.1, 10.0))
    return dataclasses.replace(stacked, output=dataclasses.replace(stacked.output, temperature=temperature))


def _learnt(given: MemberPredictions, shrink: float) -> Array:
    """(members,) weights that minimise the mean loss plus the pull, by projected gradient descent; never all zero."""
    m, n = len(given.parts), len(given.y)
    equal = np.full(m, 1.0 / m)
    weights, rate = equal.copy(), _rate(given)
    for _ in range(STEPS):
        step = rate * (_gradient(given, weights) + 2.0 * shrink / n * (weights - equal))
        moved = np.maximum(weights - step, 0.0)
        if given.task == "regression":
            moved = moved / max(moved.sum(), 1e-9)
        if np.abs(moved - weights).max() < 1e-7:
            break
        weights = moved
    return weights if weights.sum() > 0 else equal


def _gradient(given: MemberPredictions, weights: Array) -> Array:
    mean = np.tensordot(weights, given.parts, axes=1)
    if given.task == "regression":
        return np.asarray(2.0 * (given.parts @ (mean - given.y)) / len(given.y))
    wrong = softmax(mean)
    wrong[np.arange(len(given.y)), given.y] -= 1.0
    return np.asarray((given.parts * wrong).sum(axis=(1, 2)) / len(given.y))


def _rate(given: MemberPredictions) -> float:
    """One over a bound of the curvature, so that every step goes down."""
    parts = given.parts - (given.parts.mean(axis=2, keepdims=True) if given.parts.ndim == 3 else 0.0)
    flat = parts.reshape(len(parts), -1)
    curvature = 2.0 * float(np.linalg.norm(flat, 2)) ** 2 / len(given.y)
    return 1.0 / max(curvature, 1e-12)
