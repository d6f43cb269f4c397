"""Train a small adapter (LoRA) of a pretrained network and its head; all other weights stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.model.capabilities import TrainablePart
from evermodel.core.model.model import Model
from evermodel.core.model.partial_training import train_part
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["lora"]


def lora(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    rank: Annotated[int | None, In(1, 256)] = None,
    ratio: Annotated[float, In(0.0, 100.0)] = 1.0,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
    patience: Annotated[int | None, In(1, 1_000)] = None,
) -> Model:
    """Train an adapter of low ``rank`` on every linear layer, and the head, on new and remembered rows.

    The pretrained weights stay as they are and are shared by all versions: a version adds a few megabytes, and a
    rollback swaps these alone. The adapter of the champion is gone on from; a higher ``rank`` (8 unless told) is given
    to it without changing an answer. ``ratio``: remembered rows for each new one, against forgetting. Costs ``epochs``
    (5) passes over (1 + ratio) * len(new_rows) rows; deterministic given ``context.seed``. Raises BadSetting for a
    model without pretrained layers.

        $ evermodel update intents new.parquet --with lora --set rank=16

    Source: https://arxiv.org/abs/2106.09685 (LoRA)
    """
    return train_part(
        parents,
        data,
        context,
        TrainablePart.ADAPTER,
        ratio=ratio,
        epochs=epochs,
        learning_rate=learning_rate,
        patience=patience,
        rank=rank,
    )
