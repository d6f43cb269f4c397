"""Change nothing: the candidate every update must beat."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.change import Context, Split
from evermodel.core.model import Model

__all__ = ["none"]


def none(parents: Sequence[Model], data: Split, ctx: Context, /) -> Model:
    """Return the champion as it is.

    Always among the candidates, so that the report says what doing nothing would have scored. Costs nothing.

        $ evermodel update churn new.csv --with none
    """
    return parents[0]
