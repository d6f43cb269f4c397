"""Half the trees learn from all rows, the other half from the newest blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Boosting, Combining, Parted, Truncating
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.updates._halves.shares import told_share

__all__ = ["halves"]

EARLY = 1 / 3  # of the judged first half's trees are kept: two full trainings cost 2.03 of refit on all, and so 1.95
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
    finishing: bool = False,
) -> Model:
    """Train two boosters of half the trees, on all rows and on the last ``window`` blocks; serve them side by side.

    As large and as fast as the deployed one; its raw margin is the mean of both, ``share`` of it the first one's: one
    half, or what the champion's (the last parent's) own halves tell by the new rows. ``half_life`` in blocks weighs
    the first half's rows by age. ``finishing`` a judged pair keeps its first half's early trees. Costs about one
    training anew; deterministic given ``ctx.seed``. Raises BadSetting for a model that is no booster, or no pair.

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
    every = Split(rows, None, data.tuning)
    if finishing:
        first = _finished(champion, every, ctx)
    else:
        first = ctx.change("refit", [_with_rounds(champion, max(1, total - total // 2))], every, half_life=half_life)
    second = other.change("refit", [_with_rounds(champion, max(1, total // 2))], Split(recent, None, data.tuning))
    part = told_share(parents[-1], data.new) if share is None else share
    both = plug.combined([first.obj, second.obj], [part, 1.0 - part])
    return dataclasses.replace(first, obj=plug.with_rounds(both, total))


def _finished(judged: Model, every: Split, ctx: Context) -> Model:
    """The judged pair's first half, its later trees grown anew on every row.

    Its early trees lack the newest rows, which are few among all: a second full training would tell no better.
    """
    plug = judged.framework
    pair = plug.apart(judged.obj) if isinstance(plug, Parted) else ()
    if len(pair) != 2 or not isinstance(plug, Truncating):
        raise BadSetting("finishing needs the judged halves as its parent. Got another model.")
    obj = pair[0][0]
    trees = plug.trees(obj)
    early = max(1, round(EARLY * trees))
    start = dataclasses.replace(judged, obj=plug.first(obj, early), output=judged.output.uncorrected())
    return start if early == trees else ctx.change("resume", [start], every, epochs=trees - early)


def _with_rounds(model: Model, rounds: int) -> Model:
    plug = model.framework
    return dataclasses.replace(model, obj=plug.with_rounds(model.obj, rounds)) if isinstance(plug, Boosting) else model
