"""A change: a function from parent models and data to a new model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evermodel.core import plugs
from evermodel.core.model import Model
from evermodel.core.settings import read_settings
from evermodel.core.table import Table
from evermodel.core.training import Epoch, Training, ignore_epoch


@dataclass(frozen=True)
class Split:
    """What a change may see. The judge's rows are never in it."""

    new: Table  # the rows this update is about, oldest first
    kept: Table | None = None  # rows remembered from before, oldest first
    tuning: Table | None = None  # rows to watch while training: recorded, never trained on


@dataclass(frozen=True)
class Context:
    """What a change is told besides data: seed, deadline, who listens; and the way to other changes."""

    seed: int = 0
    deadline: float | None = None  # time.monotonic()
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def training(self, model: Model, tuning: Table | None, **asked: Any) -> Training:
        """The Training that follows from this context; ``asked`` overrides its fields."""
        watched = None
        if tuning is not None and len(tuning):
            watched = (model.transform(tuning.frame), model.scaled(model.target(tuning)))
        return Training(validation=watched, deadline=self.deadline, seed=self.seed, on_epoch=self.on_epoch, **asked)

    def change(self, name: str, parents: Sequence[Model], data: Split, **settings: Any) -> Model:
        """Runs another change of updates/ by its name, its settings checked."""
        return self.run("updates", name, parents, data, **settings)

    def run(self, room: str, name: str, parents: Sequence[Model], data: Split, /, **settings: Any) -> Model:
        """Runs a change of any room: updates, pruners, fusers."""
        plug: Change = plugs.function(room, name)
        return plug(parents, data, self, **read_settings(plug, settings))


class Change(Protocol):
    """One file in ``updates/``: a new model from parents and data; parents are left untouched.

    Deterministic given ``ctx.seed``. Raises NoData if it needs rows that are not there, BadSetting if the parents'
    framework lacks what it needs.
    """

    __name__: str

    def __call__(self, parents: Sequence[Model], data: Split, ctx: Context, /, **settings: Any) -> Model: ...
