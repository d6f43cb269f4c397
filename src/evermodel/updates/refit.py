"""Train anew on kept and new rows, older rows weighing less."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.ensemble import newest
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.core.table import Array, Table

__all__ = ["refit"]


def refit(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    window: Annotated[int | None, In(1, None)] = None,
    half_life: Annotated[float | None, In(0.1, None)] = None,
    mix: Annotated[float, In(0.0, 1.0)] = 0.0,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    batch_size: Annotated[int | None, In(1, 1_000_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0)] = None,
    weight_decay: Annotated[float | None, In(0.0, 10.0)] = None,
) -> Model:
    """Train anew, from fresh parameters, on kept and new rows; normalisation and category codes are learnt anew too.

    ``window`` keeps only the rows of that many newest blocks (a block: the rows of one update). ``half_life``: after
    that many blocks a row weighs half; ``mix`` of the weight is spread evenly all the same. The robust choice
    wherever training anew is affordable. Costs one training on all rows; deterministic given ``ctx.seed``.

        $ evermodel update churn new.csv --with refit --set half_life=2
    """
    champion = newest(parents[0])
    network = champion.needs.network  # one is widened before it comes here: its weights must fit
    rows = data.new if data.kept is None else data.kept.with_rows(data.new)
    if window is not None and rows.blocks is not None:
        rows = rows.rows(rows.blocks > rows.newest_block() - window)
    transform = champion.transform if network else champion.transform.widened(champion.contract)
    transform = transform.fitted(rows.frame, fills=not network)
    output = champion.output.uncorrected()  # what was learnt from the champion's errors says nothing of a new model
    fresh = dataclasses.replace(champion, transform=transform, output=output).with_target_scale(champion.target(rows))
    weight = None if half_life is None else age_weights(rows, half_life, mix)
    told = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay}
    return fresh.fitted(rows, ctx.training(fresh, data.tuning, weight=weight, **told), fresh=True)


def age_weights(rows: Table, half_life: float, mix: float = 0.0) -> Array | None:
    """(n,) weights of mean 1, halved every ``half_life`` blocks of age, ``mix`` of them even; times the rows' own."""
    if rows.blocks is None:
        return None
    weight = np.asarray(0.5 ** ((rows.newest_block() - rows.blocks) / half_life))
    weight = mix + (1.0 - mix) * weight / weight.mean()
    if rows.roles.weight is not None:
        weight = weight * rows.frame[rows.roles.weight].to_numpy()
    return np.asarray(weight / weight.mean())
