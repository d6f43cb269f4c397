"""The mean of what the models answer."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.combining.members import build_ensemble, list_members
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split

__all__ = ["vote"]


def vote(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """Answer with the mean of all models' answers (log probabilities, or values), each with an equal part.

    For any models of one contract, of any framework; needs no rows. Predicting costs as much as all members together.
    Raises BadModel with fewer than two models, or for models of different contracts.

        $ evermodel fuse churn v2 v3 v5 --with vote --data april.csv
    """
    return build_ensemble(list_members(parents))
