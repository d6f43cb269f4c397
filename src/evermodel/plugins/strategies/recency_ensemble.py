"""An ensemble in one booster: half of the trees learn from all rows, the other half from the newest blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.errors import BadSetting
from evermodel.core.model.capabilities import Combinable, RoundCount, Separable, Truncatable
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In
from evermodel.plugins.strategies._recency_ensemble.shares import choose_share

__all__ = ["recency_ensemble"]

EARLY = 1 / 3  # share of the judged first part's trees that a refit keeps: it costs 1.95 instead of 2.03 trainings
OTHER_SEED = 100  # added to the seed of the second part, so that it draws other rows and columns


def recency_ensemble(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    window: Annotated[int, In(1, None)] = 3,
    half_life: Annotated[float | None, In(0.1, None)] = None,
    share: Annotated[float | None, In(0.05, 0.95)] = None,
    refit_judged: bool = False,
) -> Model:
    """Train two boosters of half the trees, on all rows and on the last ``window`` blocks, and combine them.

    The result is as large and as fast as the deployed model. Its margin is the weighted mean of both, with ``share``
    for the first: one half, or what the champion's (the last parent's) own two parts suggest on the new rows.
    ``half_life``, in blocks, weighs the first part's rows by age. ``refit_judged`` refits a judged ensemble on all
    rows and keeps the early trees of its first part. Costs about one training from scratch; deterministic given
    ``context.seed``. Raises BadSetting for a model that is no booster, or that has no two parts to refit.

        $ evermodel update churn new.csv --with recency_ensemble --set window=2
    """
    champion, plugin = parents[0], parents[0].framework
    if not (isinstance(plugin, Combinable) and isinstance(plugin, RoundCount)):
        kind = plugin.__name__.rsplit(".", 1)[-1]
        raise BadSetting(
            f"recency_ensemble is for boosters; this is a model of {kind}.", "Use the strategy 'refit' or 'blend'."
        )
    total = plugin.count_rounds(champion.obj)
    rows = data.new_rows if data.replay_rows is None else data.replay_rows.with_rows(data.new_rows)
    recent = rows if rows.blocks is None else rows.rows(rows.blocks > rows.newest_block() - window)
    other = dataclasses.replace(context, seed=context.seed + OTHER_SEED)
    every = Split(rows, None, watched_rows=data.shown_rows)
    if refit_judged:
        first = _refit_first_part(champion, every, context)
    else:
        first = context.run_strategy(
            "refit", [_with_rounds(champion, max(1, total - total // 2))], every, half_life=half_life
        )
    second = other.run_strategy(
        "refit", [_with_rounds(champion, max(1, total // 2))], Split(recent, None, watched_rows=data.shown_rows)
    )
    part = choose_share(parents[-1], data.new_rows) if share is None else share
    both = plugin.combine([first.obj, second.obj], [part, 1.0 - part])
    return dataclasses.replace(first, obj=plugin.replace_rounds(both, total))


def _refit_first_part(judged: Model, every: Split, context: Context) -> Model:
    """The judged ensemble's first part with its later trees trained again on all rows.

    Its early trees did not see the newest rows, which are few among all; a full training would not predict better.
    """
    plugin = judged.framework
    pair = plugin.split_parts(judged.obj) if isinstance(plugin, Separable) else ()
    if len(pair) != 2 or not isinstance(plugin, Truncatable):
        raise BadSetting("refit_judged needs the judged ensemble as its parent. Got another model.")
    obj = pair[0][0]
    trees = plugin.count_trees(obj)
    early = max(1, round(EARLY * trees))
    start = dataclasses.replace(
        judged, obj=plugin.keep_first_trees(obj, early), output=judged.output.without_correction()
    )
    return start if early == trees else context.run_strategy("resume", [start], every, epochs=trees - early)


def _with_rounds(model: Model, rounds: int) -> Model:
    plugin = model.framework
    return (
        dataclasses.replace(model, obj=plugin.replace_rounds(model.obj, rounds))
        if isinstance(plugin, RoundCount)
        else model
    )
