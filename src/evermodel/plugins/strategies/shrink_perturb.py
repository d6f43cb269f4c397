"""Shrink the deployed weights, add a little of freshly drawn ones, then train on all rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import WeightAccess
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.training import ignore_epoch
from evermodel.core.settings import In

__all__ = ["shrink_perturb"]
FEW = 64  # rows that are enough to initialise a network


def shrink_perturb(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    shrink: Annotated[float, In(0.0, 1.0)] = 0.4,
    perturb: Annotated[float, In(0.0, 1.0)] = 0.1,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Start from ``shrink`` times the deployed weights plus ``perturb`` times newly initialised ones, and train.

    A plain warm start generalises worse than training from scratch; this keeps most of its speed without that loss.
    For networks; of doubtful use on small regressions. Costs ``epochs`` passes over remembered and new rows. Raises
    BadSetting for a model that is no network.

        $ evermodel update images new/ --with shrink_perturb --set shrink=0.5

    Source: https://arxiv.org/abs/1910.08475 (Ash & Adams)
    """
    champion = parents[0]
    framework = champion.framework
    if not isinstance(framework, WeightAccess) or not champion.signature.network:
        name = framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"shrink_perturb needs a network. Got a {name} model.", "Use the strategy 'refit'.")
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    # With a learning rate of 0 a training from scratch ends where it began: at newly initialised weights.
    still = dataclasses.replace(context, on_epoch=ignore_epoch).training(champion, None, epochs=1, learning_rate=0.0)
    started = champion.fit(rows.rows(np.arange(min(len(rows), FEW))), still, from_scratch=True)
    pairs = zip(framework.get_weights(champion.obj), framework.get_weights(started.obj), strict=True)
    mixed = framework.replace_weights(champion.obj, [shrink * w + perturb * fresh for w, fresh in pairs])
    begun = dataclasses.replace(champion, obj=mixed)
    training = context.training(begun, data.shown_rows, epochs=epochs or 5, learning_rate=learning_rate)
    return begun.fit(rows, training, from_scratch=False)
