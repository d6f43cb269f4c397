"""TIES: what the models changed since their common ancestor, trimmed, one sign elected, the rest averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.combining.members import get_matching_weights, list_members, replace_weights
from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from evermodel.plugins.fusers._average.fold_normalisation import behind

__all__ = ["NEEDS_ANCESTOR", "ties"]

NEEDS_ANCESTOR = True  # the first parent is what the others came from


def ties(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    density: Annotated[float, In(0.0, 1.0)] = 0.5,
    scale: Annotated[float, In(0.0, 10.0)] = 1.0,
) -> Model:
    """Merge what several models learnt since their ancestor (the first parent) without letting them cancel out.

    Of each model's changes the largest ``density`` are kept; for each parameter the sign with more weight wins, and the
    changes of that sign are averaged, times ``scale``. For fine-tunings of one model. Raises BadModel.

        $ evermodel fuse churn v2 v3 --with ties --set density=0.3 --data april.csv

    Source: https://arxiv.org/abs/2306.01708
    """
    if len(parents) < 3:
        raise BadModel(f"ties takes an ancestor and at least two models. Got {len(parents)} in all.")
    members = [m for m, _ in list_members(parents)]
    base, *others = members
    start, *ends = get_matching_weights([base, *(behind(m, base) for m in others)])
    merged = []
    for at, origin in enumerate(start):
        origin = origin.astype(np.float64)
        deltas = np.stack([_trimmed(end[at].astype(np.float64) - origin, density) for end in ends])
        merged.append(origin + scale * _elected(deltas))
    return replace_weights(base, merged)


def _trimmed(delta: Array, density: float) -> Array:
    """The largest share of a parameter's changes by size; the others are nothing."""
    keep = round(density * delta.size)
    if keep >= delta.size:
        return delta
    found = np.zeros(delta.size)
    if keep:
        largest = np.argpartition(np.abs(delta.ravel()), -keep)[-keep:]
        found[largest] = delta.ravel()[largest]
    return found.reshape(delta.shape)


def _elected(deltas: Array) -> Array:
    """(models, …) -> (…): the mean of the changes whose sign is that of their sum."""
    agreeing = np.where(np.sign(deltas) == np.sign(deltas.sum(axis=0)), deltas, 0.0)
    return np.asarray(agreeing.sum(axis=0) / np.maximum((agreeing != 0).sum(axis=0), 1))
