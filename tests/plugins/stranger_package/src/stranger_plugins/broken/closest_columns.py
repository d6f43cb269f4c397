"""A pruner that changes the model that it was given."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split


def closest_columns(parents: Sequence[Model], data: Split, context: Context, /, *, ratio: float = 0.5) -> Model:
    """The same model, moved.

    $ evermodel prune churn --with closest_columns
    """
    parents[0].obj.centres[0] *= 2.0
    return parents[0]
