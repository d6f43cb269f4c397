"""Go on training on the new rows mixed with rows kept from before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.errors import NoData
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.core.table import Array

__all__ = ["replay"]


def replay(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 100.0)] = 1.0,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Go on training on the new rows mixed with ``ratio`` times as many kept rows, normalisation kept.

    What was known stays alive where ``resume`` forgets it; a tenth of the cost of training anew. Kept rows are drawn
    evenly over the classes. Costs ``epochs`` passes over (1 + ratio) * len(new) rows; deterministic given ``ctx.seed``.

        $ evermodel update churn new.csv --with replay --set ratio=2

    Raises NoData if no rows were kept. Source: https://arxiv.org/abs/2303.11165 (Budgeted Continual Learning)
    """
    if data.kept is None or not len(data.kept):
        raise NoData("replay needs rows kept from before; there are none.", "Use --with resume or --with refit.")
    champion = parents[0]
    wanted = min(len(data.kept), round(ratio * len(data.new)))
    labels = None if champion.contract.task == "regression" else champion.target(data.kept)
    drawn = data.kept.rows(_draw(len(data.kept), wanted, labels, ctx.seed))
    training = ctx.training(champion, data.tuning, epochs=epochs or 5, learning_rate=learning_rate)
    return champion.fitted(drawn.with_rows(data.new), training, fresh=False)


def _draw(n: int, wanted: int, labels: Array | None, seed: int) -> Array:
    """(wanted,) sorted positions out of ``n``: uniform, but no class gets less than half of an even share."""
    random = np.random.default_rng(seed)
    order = random.permutation(n)
    if labels is None or wanted >= n:
        return np.sort(order[:wanted])
    shuffled = labels[order]
    floor = wanted // (2 * len(np.unique(labels)))
    first = np.concatenate([order[shuffled == c][:floor] for c in np.unique(labels)])
    rest = order[~np.isin(order, first)]
    return np.sort(np.concatenate([first, rest])[:wanted])
