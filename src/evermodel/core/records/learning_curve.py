"""What each epoch of a training brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
    training: str = ""  # which of the trainings of a command this is, for whoever watches: "refit on all rows"


def find_best_epoch(curve: Sequence[Epoch]) -> int | None:
    """The number of the epoch with the lowest validation loss, the first of equal ones; None where none is known."""
    known = [epoch for epoch in curve if epoch.validation_loss is not None and epoch.validation_loss < float("inf")]
    return min(known, key=lambda epoch: epoch.validation_loss or 0.0).number if known else None
