"""Train from scratch on the newest part of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In


def newest_share(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    share: Annotated[float, In(0.05, 1.0)] = 0.7,
) -> Model:
    """Train from scratch on the newest ``share`` of the remembered and the new rows.

    For models of which only the last months matter. Costs one training; deterministic given ``context.seed``.

        $ evermodel update churn new.csv --with newest_share --set share=0.5
    """
    champion = parents[0]
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    first = int((1.0 - share) * len(rows))
    newest = rows.rows(np.arange(first, len(rows)))
    return champion.fit(newest, context.training(champion, data.tuning_rows), from_scratch=True)
