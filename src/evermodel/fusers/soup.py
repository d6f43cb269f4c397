"""Greedy soup: the best model's weights, and those of every other that does not make their mean worse."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.change import Context, Split
from evermodel.core.members import mean_weights, plain_members, scorer, tuning_rows, weights_alike, with_weights
from evermodel.core.model import Model
from evermodel.fusers._average.folding import behind

__all__ = ["soup"]


def soup(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """Average the weights of the best model and of every further one that does not lower the mean's score.

    For models along one lineage (fine-tuned from one start). On ``data.tuning`` never worse than the best of them, and
    as fast as one. Costs one prediction a model. Raises NoData; BadModel for models that cannot be averaged.

        $ evermodel fuse churn v2 v3 v5 --with soup --data april.csv

    Source: https://arxiv.org/abs/2203.05482
    """
    members = [m for m, _ in plain_members(parents)]
    score = scorer(members[0], tuning_rows(data.tuning))
    ranked = sorted(members, key=score, reverse=True)
    first = ranked[0]
    kept, best = weights_alike([first]), score(first)
    made = first
    for other in ranked[1:]:
        tried = [*kept, weights_alike([first, behind(other, first)])[1]]
        mixed = with_weights(first, mean_weights(tried, [1.0] * len(tried)))
        if score(mixed) >= best:
            kept, best, made = tried, score(mixed), mixed
    return made
