"""Fewer trees: the first of them, or a booster trained anew to say in fewer rounds what all of them say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.combining.members import build_sure_scorer
from evermodel.combining.recovery_training import Teaching, train_recovery
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import Truncatable, Tunable
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.settings import In

__all__ = ["trees"]

FASTEST = 0.3  # learning rate up to which fewer rounds take larger steps


def trees(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    ratio: Annotated[float, In(0.0, 0.999)] = 0.5,
    teaching: Teaching = "parent",
    recover: bool = True,
) -> Model:
    """Keep 1 - ``ratio`` of the trees: the first ones, or, of a booster, as many trained anew with larger steps.

    The new rounds learn the parent's answers, the labels, or (``auto``) whichever is better on ``data.tuning_rows``,
    where truncated and trained anew meet as well. Learning newer labels is an update in disguise: under drift it did
    not last. Time falls in proportion. ``recover=false`` only truncates. Costs up to two shorter trainings. Raises
    BadModel for models without trees.

        $ evermodel prune churn --with trees --ratio 0.8
    """
    parent = parents[0]
    plugin = parent.framework
    if not isinstance(plugin, Truncatable):
        kind = plugin.__name__.rsplit(".", 1)[-1]
        raise BadModel(
            f"Trees can be taken out of boosters and forests. Got a model of {kind}.", "Use the pruner 'auto'."
        )
    count = plugin.count_trees(parent.obj)
    keep = max(1, round((1.0 - ratio) * count))
    if keep == count:
        return parent
    first = dataclasses.replace(parent, obj=plugin.keep_first_trees(parent.obj, keep))
    again = _larger_steps(parent, keep, count)
    trainable = len(data.new_rows) + (0 if data.replay_rows is None else len(data.replay_rows))
    if not recover or again is None or not trainable:
        return first
    anew = train_recovery(again, parent, data, context, teaching=teaching, from_scratch=True)
    if data.tuning_rows is None or not len(data.tuning_rows):
        return anew
    return max((anew, first), key=build_sure_scorer(parent, data.tuning_rows))


def _larger_steps(parent: Model, keep: int, count: int) -> Model | None:
    """The booster as one of ``keep`` rounds, its learning rate larger as its rounds are fewer; None for a forest."""
    plugin = parent.framework
    if not isinstance(plugin, Tunable):
        return None
    now = plugin.get_hyperparameters(parent.obj)
    name = next((n for n in ("rounds", "n_estimators", "max_iter") if n in now), None)
    if name is None or "learning_rate" not in now:
        return None
    rate = float(now["learning_rate"])
    larger = max(rate, min(FASTEST, rate * count / keep))
    return dataclasses.replace(
        parent, obj=plugin.replace_hyperparameters(parent.obj, {name: keep, "learning_rate": larger})
    )
