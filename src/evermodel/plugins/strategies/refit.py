"""Train from scratch on remembered and new rows, with less weight on older rows if wanted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.ensemble import choose_single_model
from evermodel.core.model.fold_into_network import can_fold_input, can_fold_output, fold_normalisation, fold_output
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["refit"]


def refit(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    window: Annotated[int | None, In(1, None)] = None,
    half_life: Annotated[float | None, In(0.1, None)] = None,
    mix: Annotated[float, In(0.0, 1.0)] = 0.0,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    batch_size: Annotated[int | None, In(1, 1_000_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0)] = None,
    weight_decay: Annotated[float | None, In(0.0, 10.0)] = None,
    decay: bool = False,
    patience: Annotated[int | None, In(1, 1_000)] = None,
) -> Model:
    """Train the deployed structure from scratch on remembered and new rows.

    ``window`` uses only the rows of that many newest blocks (a block is the rows of one update). ``half_life`` halves
    the weight of a row with every so many blocks of age; the part ``mix`` of the weight is spread evenly all the same.
    A network learns its normalisation anew, folded into its first layer where that is possible, so that it takes the
    rows as the deployed one does. For networks, ``decay`` lets the learning rate fall to 0, and ``patience`` stops
    after so many epochs without a lower loss on the tuning rows and keeps the best one. The robust choice wherever
    training from scratch is affordable. Costs one training on all rows; deterministic given
    ``context.seed``.

        $ evermodel update churn new.csv --with refit --set half_life=2
    """
    champion = choose_single_model(parents[0])
    network = (
        champion.signature.network
    )  # a network is widened before, by its own strategy: its weights must fit its input
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    if window is not None and rows.blocks is not None:
        rows = rows.rows(rows.blocks > rows.newest_block() - window)
    weight = None if half_life is None else age_weights(rows, half_life, mix)
    options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay}
    # The champion's error correction is of no use to a new model.
    start = dataclasses.replace(champion, output=champion.output.without_correction())
    if network:
        stop = patience if data.tuning_rows is not None else None
        return _train_network(start, rows, data, context, weight, {**options, "decay": decay, "patience": stop})
    start = dataclasses.replace(start, transform=start.transform.widen(start.contract).fit(rows.frame))
    return start.fit(rows, context.training(start, data.shown_rows, weight=weight, **options), from_scratch=True)


def _train_network(
    deployed: Model, rows: Table, data: Split, context: Context, weight: Array | None, options: dict[str, Any]
) -> Model:
    """Trained on rows, and if need be a target, of mean 0 and spread 1; what comes out takes and gives the deployed's.

    Where the first or last layer cannot hold the difference, the deployed normalisation or scale is trained on.
    """
    start = deployed
    if can_fold_input(deployed):
        start = dataclasses.replace(start, transform=deployed.transform.fit(rows.frame, weight, fills=False))
    if can_fold_output(deployed):
        start = start.with_target_scale(deployed.target(rows))
    training = context.training(start, data.shown_rows, weight=weight, **options)
    trained = start.fit(rows, training, from_scratch=True)
    return fold_output(fold_normalisation(trained, deployed.transform), deployed.output)


def age_weights(rows: Table, half_life: float, mix: float = 0.0) -> Array | None:
    """(n,) weights of mean 1, halved with every ``half_life`` blocks of age, the part ``mix`` of them even.

    Rows that have weights of their own are multiplied by them. None where rows are not numbered by blocks.
    """
    if rows.blocks is None:
        return None
    weight = np.asarray(0.5 ** ((rows.newest_block() - rows.blocks) / half_life))
    weight = mix + (1.0 - mix) * weight / weight.mean()
    if rows.roles.weight is not None:
        weight = weight * rows.frame[rows.roles.weight].to_numpy()
    return np.asarray(weight / weight.mean())
