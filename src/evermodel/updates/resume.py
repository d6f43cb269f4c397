"""Go on training the deployed model on the new rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.model import Model
from evermodel.core.settings import In

__all__ = ["resume"]


def resume(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Go on training the deployed model on the new rows alone, its normalisation and optimizer state kept.

    Cheapest of all; forgets what the new rows do not show (EVIDENCE: up to 20 points of past accuracy), so prefer
    ``replay`` wherever rows were kept. Costs ``epochs`` passes over the new rows.

        $ evermodel update churn new.csv --with resume --set epochs=3
    """
    champion = parents[0]
    training = ctx.training(champion, data.tuning, epochs=epochs or 5, learning_rate=learning_rate)
    return champion.fitted(data.new, training, fresh=False)
