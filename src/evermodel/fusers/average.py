"""The mean of the models' weights: one model, as fast as each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadModel
from evermodel.core.framework import Layered
from evermodel.core.members import mean_weights, plain_members, scorer, tuning_rows, weights_alike, with_weights
from evermodel.core.model import Model
from evermodel.fusers._average.alignment import aligned
from evermodel.fusers._average.folding import behind

__all__ = ["average"]

TOLERANCE = 0.02  # of the score: how far a midpoint may lie below the worse of its two ends


def average(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """Average the weights of models that share a lineage; independent networks are aligned by permutation first.

    The midpoint between the first model and each other is probed on ``data.tuning``: where it falls below both ends,
    hidden units are permuted (Git Re-Basin); where it still does, that is refused. As fast as one model; costs some
    predictions. Other normalisations are folded into the first layer exactly. Raises BadModel, NoData.

        $ evermodel fuse churn v2 v3 --with average --data april.csv

    Sources: https://arxiv.org/abs/2203.05482, https://arxiv.org/abs/2209.04836
    """
    members = [m for m, _ in plain_members(parents)]
    score = scorer(members[0], tuning_rows(data.tuning))
    first = members[0]
    ready = [first, *(_connected(first, behind(other, first), score, ctx.seed) for other in members[1:])]
    return with_weights(first, mean_weights(weights_alike(ready), [1.0] * len(ready)))


def _connected(first: Model, other: Model, score: Callable[[Model], float], seed: int) -> Model:
    """``other``, its hidden units reordered if that is what it takes for the midpoint to be as good as the ends."""
    ends = min(score(first), score(other))
    if score(_midpoint(first, other)) >= ends - TOLERANCE:
        return other
    if isinstance(first.framework, Layered):
        plug = first.framework
        found = aligned(plug.layers(other.obj), plug.layers(first.obj), seed)
        turned = dataclasses.replace(other, obj=plug.with_layers(other.obj, found))
        if score(_midpoint(first, turned)) >= ends - TOLERANCE:
            return turned
    raise BadModel(
        f"The midpoint of two of the models scores {score(_midpoint(first, other)):.4f} where the worse of them scores "
        f"{ends:.4f}: they come from independent starts, and no order of their units connects them.",
        "Combine what they answer: --with select or --with vote, then distill.",
    )


def _midpoint(first: Model, other: Model) -> Model:
    return with_weights(first, mean_weights(weights_alike([first, other]), [1.0, 1.0]))
