"""Ensemble selection: members are added, again and again, while that helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.blending import MemberPredictions, predict_members
from evermodel.combining.members import build_ensemble, check_tuning_rows, list_members
from evermodel.core.arrays import Array
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["select"]


def select(
    parents: Sequence[Model], data: Split, context: Context, /, *, rounds: Annotated[int, In(1, 1_000)] = 25
) -> Model:
    """Build an ensemble greedily on ``data.tuning_rows``: each round adds the model that helps most, one may come
    again.

    By the loss, which tells models apart where a metric of ranks is flat. For any models that predict. Costs one
    prediction of each model, then rounds x models means. Raises NoData, BadModel.

        $ evermodel fuse churn v2 v3 v5 --with select --set rounds=25 --data april.csv

    Source: Caruana et al., Ensemble selection from libraries of models, ICML 2004
    """
    members = [m for m, _ in list_members(parents)]
    counts = _counts(predict_members(members, check_tuning_rows(data.tuning_rows)), rounds)
    return build_ensemble([(m, float(c)) for m, c in zip(members, counts, strict=True)])


def _counts(given: MemberPredictions, rounds: int) -> Array:
    """(members,) how often each was taken, at the round whose ensemble had the least loss."""
    counts = np.zeros(len(given.parts))
    best, least = counts, float("inf")
    for _ in range(rounds):
        losses = [given.loss(counts + one) for one in np.eye(len(counts))]
        counts = counts + np.eye(len(counts))[int(np.argmin(losses))]
        if min(losses) < least - 1e-12:
            best, least = counts, min(losses)
    return best
