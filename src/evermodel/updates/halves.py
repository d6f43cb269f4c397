"""Half the trees learn from all rows, the other half from the newest blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Boosting, Combining
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.updates._halves.shares import told_share

__all__ = ["halves"]

OTHER_SEED = 100  # added for the second half, so that it draws other rows and columns


def halves(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    window: Annotated[int, In(1, None)] = 3,
    half_life: Annotated[float | None, In(0.1, None)] = None,
    share: Annotated[float | None, In(0.05, 0.95)] = None,
) -> Model:
    """Train two boosters of half the trees, on all rows and on the last ``window`` blocks; serve them side by side.

    As large and as fast as the deployed one; its raw margin is the mean of both, ``share`` of it the first one's: one
    half, or what the champion's own halves tell by the new rows. ``half_life`` in blocks weighs the first half's rows
    by age. Costs about one training anew; deterministic given ``ctx.seed``. Raises BadSetting for a model that is no
    booster.

        $ evermodel update churn new.csv --with halves --set window=2
    """
    champion, plug = parents[0], parents[0].framework
    if not (isinstance(plug, Combining) and isinstance(plug, Boosting)):
        kind = plug.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"halves is for boosters; this is a model of {kind}.", "Use --with refit, or blend.")
    total = plug.rounds(champion.obj)
    rows = data.new if data.kept is None else data.kept.with_rows(data.new)
    recent = rows if rows.blocks is None else rows.rows(rows.blocks > rows.newest_block() - window)
    other = dataclasses.replace(ctx, seed=ctx.seed + OTHER_SEED)
    first = ctx.change("refit", [_with_rounds(champion, max(1, total - total // 2))], Split(rows, None, data.tuning),
                       half_life=half_life)  # fmt: skip
    second = other.change("refit", [_with_rounds(champion, max(1, total // 2))], Split(recent, None, data.tuning))
    part = told_share(champion, data.new) if share is None else share
    both = plug.combined([first.obj, second.obj], [part, 1.0 - part])
    return dataclasses.replace(first, obj=plug.with_rounds(both, total))


def _with_rounds(model: Model, rounds: int) -> Model:
    plug = model.framework
    return dataclasses.replace(model, obj=plug.with_rounds(model.obj, rounds)) if isinstance(plug, Boosting) else model
