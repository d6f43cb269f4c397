"""Train the head of a pretrained network; all other weights stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.model import Model
from evermodel.core.model.partial_training import train_part
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["head"]


def head(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 100.0)] = 1.0,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
    patience: Annotated[int | None, In(1, 1_000)] = None,
) -> Model:
    """Train the head alone, on new and remembered rows.

    It is the cheapest training of a pretrained network, and the least that it can learn: what the layers before the
    head do not tell apart stays alike. ``ratio``: remembered rows for each new one, against forgetting. Costs
    ``epochs`` (5) passes over (1 + ratio) * len(new_rows) rows without gradients of the layers; deterministic given
    ``context.seed``. Raises BadSetting for a model without pretrained layers.

        $ evermodel update intents new.parquet --with head --set epochs=10
    """
    return train_part(
        parents,
        data,
        context,
        TrainablePart.HEAD,
        ratio=ratio,
        epochs=epochs,
        learning_rate=learning_rate,
        patience=patience,
    )
