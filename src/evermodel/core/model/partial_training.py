"""Trains a chosen part of a pretrained network on new rows, mixed with remembered ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import PartialTraining, TrainablePart
from evermodel.core.model.ensemble import choose_single_model
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split


def train_part(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    part: TrainablePart,
    /,
    *,
    ratio: float,
    epochs: int | None,
    learning_rate: float | None,
    patience: int | None,
    rank: int | None = None,
) -> Model:
    """The first parent with ``part`` of it trained on the new rows and ``ratio`` times as many remembered ones.

    Costs ``epochs`` passes over (1 + ratio) * len(new_rows) rows. Raises BadSetting where the model's framework cannot
    train a part of it.
    """
    champion = choose_single_model(parents[0])
    if not isinstance(champion.framework, PartialTraining):
        kind = champion.framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(
            f"Only a pretrained network has a part that can be trained alone. Got a {kind} model.",
            "Use the strategy replay or refit.",
        )
    chosen = dataclasses.replace(champion, obj=champion.framework.choose_trainable(champion.obj, part, rank=rank))
    settings = {"epochs": epochs, "learning_rate": learning_rate, "patience": patience}
    if ratio == 0.0 or data.replay_rows is None or not len(data.replay_rows):
        return context.run_strategy("resume", [chosen, *parents[1:]], data, **settings)
    return context.run_strategy("replay", [chosen, *parents[1:]], data, ratio=ratio, **settings)
