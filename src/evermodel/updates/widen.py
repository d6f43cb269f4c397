"""Give a network more outputs or inputs where new classes or columns came, then train it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadSetting
from evermodel.core.model import Model
from evermodel.core.settings import In
from evermodel.core.widening import widened

__all__ = ["widen"]


def widen(
    parents: Sequence[Model],
    data: Split,
    ctx: Context,
    /,
    *,
    epochs: Annotated[int | None, In(1, 10_000)] = None,
    learning_rate: Annotated[float | None, In(0.0, 10.0, log=True)] = None,
) -> Model:
    """Widen a network for the contract's new classes and columns, then go on training with kept rows mixed in.

    A new input starts with weights of zero, a new class below the others, so that what was known is predicted as
    before when training begins. Where nothing is new it is ``replay``, or ``resume`` without kept rows. Costs the same.

        $ evermodel update signs new/ --with widen --set epochs=10

    Raises BadSetting for a model that cannot be widened; boosters and linear models take new classes by ``refit``.
    """
    if not parents[0].needs.network:
        kind = parents[0].framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"widen needs a network that can be widened. Got a {kind} model.", "Use --with refit.")
    champion = widened(parents[0])
    settings = {"epochs": epochs, "learning_rate": learning_rate}
    by = "resume" if data.kept is None or not len(data.kept) else "replay"
    return ctx.change(by, [champion, *parents[1:]], data, **settings)
