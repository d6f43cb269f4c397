"""Give a network more outputs or inputs for new classes or categories, then train it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.errors import BadSetting
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.widening import widen_model
from evermodel.core.settings import In

__all__ = ["widen"]


def widen(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Widen a network for the contract's new classes and categories, then continue training with remembered rows.

    A new input starts with weights of zero and a new class far below the others, so that what was known is predicted
    as before when training begins. Where nothing is new it is ``replay``, or ``resume`` without remembered rows, and
    costs the same. Raises BadSetting for a model that is no network; boosters and linear models learn new classes by
    ``refit``.

        $ evermodel update signs new/ --with widen --set epochs=10
    """
    if not parents[0].signature.network:
        kind = parents[0].framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"widen needs a network that can be widened. Got a {kind} model.", "Use the strategy 'refit'.")
    champion = widen_model(parents[0])
    settings = {"epochs": epochs, "learning_rate": learning_rate}
    by = "resume" if data.replay_rows is None or not len(data.replay_rows) else "replay"
    return context.run_strategy(by, [champion, *parents[1:]], data, **settings)
