"""How long, how fast and on what to train; what each epoch brought."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from evermodel.core.table import Array


@dataclass(frozen=True)
class Epoch:
    """Loss and score after one epoch (networks) or some boosting rounds, on training and validation rows."""

    number: int  # 1 is the first
    loss: float
    score: float | None = None
    validation_loss: float | None = None
    validation_score: float | None = None
    seconds: float = 0.0
    member: str = ""  # of a model made of several: which of them; each has a curve of its own


def of_member(listen: Callable[[Epoch], None], member: str) -> Callable[[Epoch], None]:
    """Hears of the epochs of one member, and says of which."""
    return lambda epoch: listen(replace(epoch, member=member))


def counted_on(listen: Callable[[Epoch], None]) -> Callable[[Epoch], None]:
    """Hears of several trainings, one after another, as of one: where numbers begin anew they go on from the last."""
    last = before = 0

    def hear(epoch: Epoch) -> None:
        nonlocal last, before
        if before + epoch.number <= last:
            before = last
        last = before + epoch.number
        listen(replace(epoch, number=last))

    return hear


def ignore_epoch(epoch: Epoch) -> None:
    """Hears of an epoch and does nothing."""


@dataclass(frozen=True)
class Training:
    """What a framework's ``fit`` is told. None: as the model itself was trained, or the framework's usual value."""

    epochs: int | None = None
    steps: int | None = (
        None  # gradient steps in all, instead of epochs: rows drawn anew for each, without a pass's order
    )
    sampling: Array | None = None  # (n,) how likely a row is drawn, any scale; None: evenly, each row once a pass
    decay: bool = False  # learning rate flat for the first half of the steps, then straight down to 0
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None  # decoupled, of networks whose object does not carry its optimizer
    weight: Array | None = None  # (n,) float, one weight a row, mean about 1
    validation: tuple[Any, Array] | None = None  # x, y: watched and recorded, never trained on
    classes: tuple[Any, ...] = ()  # the labels behind the codes 0 … k-1 of y; empty for regression
    categorical: tuple[int, ...] = ()  # positions in x of columns that hold category codes
    deadline: float | None = None  # time.monotonic() after which no further epoch is begun
    seed: int = 0
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline
