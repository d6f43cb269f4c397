"""A fuser that takes whatever it gets."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split


def middle_centres(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """The member in the middle of the list.

    $ evermodel fuse churn v2 v3 v4 --with middle_centres
    """
    return parents[len(parents) // 2]
