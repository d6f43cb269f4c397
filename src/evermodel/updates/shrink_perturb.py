"""Shrink the deployed weights, perturb them a little, then train on all rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Weighted
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.core.training import ignore_epoch

__all__ = ["shrink_perturb"]
FEW = 64


def shrink_perturb(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    shrink: Annotated[float, In(0.0, 1.0)] = 0.4,
    perturb: Annotated[float, In(0.0, 1.0)] = 0.1,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Go on from ``shrink`` times the deployed weights plus ``perturb`` times freshly initialised ones, on all rows.

    A plain warm start generalises worse than training anew; this keeps most of its speed without that loss. For
    networks; doubtful on small regressions (EVIDENCE). Costs ``epochs`` passes over kept and new rows.

        $ evermodel update images new/ --with shrink_perturb --set shrink=0.5

    Raises BadSetting for a model that is no network. Source: https://arxiv.org/abs/1910.08475 (Ash & Adams)
    """
    champion = parents[0]
    framework = champion.framework
    if not isinstance(framework, Weighted) or not champion.needs.network:
        name = framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"shrink_perturb needs a network. Got a {name} model.", "Use --with refit.")
    rows = data.new if data.kept is None else data.kept.with_rows(data.new)
    # With a learning rate of 0 a fresh training ends where it began: at freshly initialised weights.
    still = dataclasses.replace(ctx, on_epoch=ignore_epoch).training(champion, None, epochs=1, learning_rate=0.0)
    started = champion.fitted(rows.rows(np.arange(min(len(rows), FEW))), still, fresh=True)
    pairs = zip(framework.weights(champion.obj), framework.weights(started.obj), strict=True)
    mixed = framework.with_weights(champion.obj, [shrink * w + perturb * fresh for w, fresh in pairs])
    begun = dataclasses.replace(champion, obj=mixed)
    training = ctx.training(begun, data.tuning, epochs=epochs or 5, learning_rate=learning_rate)
    return begun.fitted(rows, training, fresh=False)
