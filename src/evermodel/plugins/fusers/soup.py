"""Greedy soup: the best model's weights, and those of every other that does not make their mean worse."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.combining.members import (
    average_weights,
    build_scorer,
    check_tuning_rows,
    get_matching_weights,
    list_members,
    replace_weights,
)
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.plugins.fusers._average.fold_normalisation import behind

__all__ = ["soup"]


def soup(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """Average the weights of the best model and of every further one that does not lower the mean's score.

    For models along one lineage (fine-tuned from one start). On ``data.tuning_rows`` never worse than the best of
    them, and as fast as one. Costs one prediction a model. Raises NoData; BadModel for models that cannot be averaged.

        $ evermodel fuse churn v2 v3 v5 --with soup --data april.csv

    Source: https://arxiv.org/abs/2203.05482
    """
    members = [m for m, _ in list_members(parents)]
    score = build_scorer(members[0], check_tuning_rows(data.tuning_rows))
    ranked = sorted(members, key=score, reverse=True)
    first = ranked[0]
    ingredients, best = get_matching_weights([first]), score(first)
    soup_model = first
    for other in ranked[1:]:
        tried = [*ingredients, get_matching_weights([first, behind(other, first)])[1]]
        mixed = replace_weights(first, average_weights(tried, [1.0] * len(tried)))
        if score(mixed) >= best:
            ingredients, best, soup_model = tried, score(mixed), mixed
    return soup_model
