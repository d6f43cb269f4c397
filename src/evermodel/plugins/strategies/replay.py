"""Continue training on the new rows mixed with remembered rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import NoData
from evermodel.core.model.ensemble import choose_single_model
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["replay"]


def replay(
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
    """Continue training on the new rows and ``ratio`` times as many remembered rows; the normalisation stays.

    It keeps what ``resume`` forgets, at about a tenth of the cost of training from scratch. Remembered rows are drawn
    evenly over the classes. With ``patience`` it stops after so many epochs without a lower loss on the tuning rows,
    and keeps the best epoch. Costs ``epochs`` passes over (1 + ratio) * len(new_rows) rows; deterministic given
    ``context.seed``. Raises NoData where no rows are remembered.

        $ evermodel update churn new.csv --with replay --set ratio=2

    Source: https://arxiv.org/abs/2303.11165 (Budgeted Continual Learning)
    """
    if data.replay_rows is None or not len(data.replay_rows):
        raise NoData(
            "replay needs rows remembered from earlier updates; there are none.",
            "Use the strategy 'resume' or 'refit'.",
        )
    champion = choose_single_model(parents[0])
    count = min(len(data.replay_rows), round(ratio * len(data.new_rows)))
    labels = champion.target(data.replay_rows) if champion.contract.classes else None
    drawn = data.replay_rows.rows(_draw_rows(len(data.replay_rows), count, labels, context.seed))
    stop = patience if data.tuning_rows is not None else None
    options = {"epochs": epochs or 5, "learning_rate": learning_rate, "patience": stop}
    training = context.training(champion, data.shown_rows, **options)
    return champion.fit(drawn.with_rows(data.new_rows), training, from_scratch=False)


def _draw_rows(n: int, count: int, labels: Array | None, seed: int) -> Array:
    """(count,) sorted positions out of ``n``: uniform, but no class gets less than half of an even share."""
    random = np.random.default_rng(seed)
    order = random.permutation(n)
    if labels is None or count >= n:
        return np.sort(order[:count])
    shuffled = labels[order]
    floor = count // (2 * len(np.unique(labels)))
    first = np.concatenate([order[shuffled == c][:floor] for c in np.unique(labels)])
    rest = order[~np.isin(order, first)]
    return np.sort(np.concatenate([first, rest])[:count])
