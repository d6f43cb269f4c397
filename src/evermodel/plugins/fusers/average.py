"""The mean of the models' weights: one model, as fast as each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from evermodel.combining.members import (
    average_weights,
    build_scorer,
    check_tuning_rows,
    get_matching_weights,
    list_members,
    replace_weights,
)
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import DenseLayers
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.plugins.fusers._average.alignment import align_layers
from evermodel.plugins.fusers._average.fold_normalisation import behind

__all__ = ["average"]

TOLERANCE = 0.02  # of the score: how far a midpoint may lie below the worse of its two ends


def average(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """Average the weights of models that share a lineage; independent networks are aligned by permutation first.

    The midpoint between the first model and each other is probed on ``data.tuning_rows``: where it falls below both
    ends, hidden units are permuted (Git Re-Basin); where it still does, that is refused. As fast as one model; costs
    some predictions. Other normalisations are folded into the first layer exactly. Raises BadModel, NoData.

        $ evermodel fuse churn v2 v3 --with average --data april.csv

    Sources: https://arxiv.org/abs/2203.05482, https://arxiv.org/abs/2209.04836
    """
    members = [m for m, _ in list_members(parents)]
    score = build_scorer(members[0], check_tuning_rows(data.tuning_rows))
    first = members[0]
    ready = [first, *(_connected(first, behind(other, first), score, context.seed) for other in members[1:])]
    return replace_weights(first, average_weights(get_matching_weights(ready), [1.0] * len(ready)))


def _connected(first: Model, other: Model, score: Callable[[Model], float], seed: int) -> Model:
    """``other``, its hidden units reordered if that is what it takes for the midpoint to be as good as the ends."""
    ends = min(score(first), score(other))
    if score(_midpoint(first, other)) >= ends - TOLERANCE:
        return other
    if isinstance(first.framework, DenseLayers):
        plugin = first.framework
        found = align_layers(plugin.get_dense_layers(other.obj), plugin.get_dense_layers(first.obj), seed)
        turned = dataclasses.replace(other, obj=plugin.replace_dense_layers(other.obj, found))
        if score(_midpoint(first, turned)) >= ends - TOLERANCE:
            return turned
    raise BadModel(
        f"The midpoint of two of the models scores {score(_midpoint(first, other)):.4f} where the worse of them scores "
        f"{ends:.4f}: they come from independent starts, and no order of their units connects them.",
        "Combine what they answer: the fuser 'select' or 'vote', then 'distill'.",
    )


def _midpoint(first: Model, other: Model) -> Model:
    return replace_weights(first, average_weights(get_matching_weights([first, other]), [1.0, 1.0]))
