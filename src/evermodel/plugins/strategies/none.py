"""Change nothing: every other candidate must be better than this one."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split

__all__ = ["none"]


def none(parents: Sequence[Model], data: Split, context: Context, /) -> Model:
    """Return the champion unchanged.

    It is always among the candidates, so that the report shows what doing nothing would have scored. Costs nothing.

        $ evermodel update churn new.csv --with none
    """
    return parents[0]
