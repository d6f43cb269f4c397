"""Train all weights of a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.model import Model
from evermodel.core.model.partial_training import train_part
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["full"]


def full(
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
    """Go on training all weights of a pretrained network, on new and remembered rows.

    It learns the most and costs the most: the new version keeps a whole copy of the weights, where ``lora`` adds a few
    megabytes. An adapter that the champion has becomes part of the weights. ``ratio``: remembered rows for each new
    one, against forgetting. Costs ``epochs`` (5) passes over (1 + ratio) * len(new_rows) rows; deterministic given
    ``context.seed``. Raises BadSetting for a model without pretrained layers.

        $ evermodel update intents new.parquet --with full --set learning_rate=5e-5
    """
    return train_part(
        parents,
        data,
        context,
        TrainablePart.ALL,
        ratio=ratio,
        epochs=epochs,
        learning_rate=learning_rate,
        patience=patience,
    )
