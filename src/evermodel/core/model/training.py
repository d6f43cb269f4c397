"""How long, how fast and on what to train; what each epoch brought."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from evermodel.core.arrays import Array
from evermodel.core.records.learning_curve import Epoch

S = TypeVar("S")


class BestEpoch(Generic[S]):
    """The state of a network after the epoch with the lowest validation loss, for early stopping."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.state: S | None = None
        self._lowest, self._since = float("inf"), 0

    def add_epoch(self, loss: float | None, copy_state: Callable[[], S]) -> bool:
        """Takes in one more epoch; True where ``patience`` epochs have brought nothing: time to stop."""
        if loss is not None and loss < self._lowest:
            self._lowest, self._since, self.state = loss, 0, copy_state()
            return False
        self._since += 1
        return self._since >= self.patience


def label_epochs(listen: Callable[[Epoch], None], member: str) -> Callable[[Epoch], None]:
    """Hears of the epochs of one member, and says of which."""
    return lambda epoch: listen(replace(epoch, member=member))


def label_training(listen: Callable[[Epoch], None], training: str) -> Callable[[Epoch], None]:
    """Hears of the epochs of one training out of several, and says of which."""
    return lambda epoch: listen(replace(epoch, training=training))


def number_epochs_on(listen: Callable[[Epoch], None]) -> Callable[[Epoch], None]:
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
    # Networks: stop after so many epochs without a lower validation loss and keep the epoch of the lowest; None: train
    # to the end. Only where the validation rows are there to choose by.
    patience: int | None = None
    classes: tuple[Any, ...] = ()  # the labels behind the codes 0 … k-1 of y; empty for regression
    categorical: tuple[int, ...] = ()  # positions in x of columns that hold category codes
    deadline: float | None = None  # time.monotonic() after which no further epoch is begun
    seed: int = 0
    on_epoch: Callable[[Epoch], None] = ignore_epoch

    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline
