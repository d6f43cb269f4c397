"""Give a network more outputs or inputs where new classes or columns came, then train it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from evermodel.core.change import Context, Split
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Widening
from evermodel.core.model import Model
from evermodel.core.settings import In

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
    champion = widened(parents[0])
    settings = {"epochs": epochs, "learning_rate": learning_rate}
    by = "resume" if data.kept is None or not len(data.kept) else "replay"
    return ctx.change(by, [champion, *parents[1:]], data, **settings)


def widened(champion: Model) -> Model:
    """The champion with an output for each class and an input for each column of x."""
    needs, framework = champion.needs, champion.framework
    if not isinstance(framework, Widening) or not needs.network:
        name = framework.__name__.rsplit(".", 1)[-1]
        raise BadSetting(f"widen needs a network that can be widened. Got a {name} model.", "Use --with refit.")
    outputs = needs.outputs or 1
    if champion.contract.task != "regression" and len(champion.contract.classes) > max(outputs, 2):
        outputs = len(champion.contract.classes)
    table = needs.shape is not None and len(needs.shape) == 1
    inputs = max(champion.transform.width, needs.shape[0]) if table and needs.shape else 0
    if outputs == (needs.outputs or 1) and (not table or needs.shape == (inputs,)):
        return champion
    return dataclasses.replace(champion, obj=framework.widened(champion.obj, inputs=inputs, outputs=outputs))
