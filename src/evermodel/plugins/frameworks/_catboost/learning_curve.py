"""Tells of the rounds of a CatBoost training while it runs, and ends it where its time is up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch

EVERY = 10  # rounds between two entries


class Listener:
    """A callback of ``CatBoost.fit``: one entry every ten rounds and at the last, with the loss that is trained."""

    def __init__(self, training: Training, rounds: int) -> None:
        self.training, self.rounds, self.began, self.done = training, rounds, time.monotonic(), 0

    def after_iteration(self, info: Any) -> bool:
        """False ends the training after this round."""
        self.done += 1
        late = self.training.out_of_time()
        if self.done % EVERY == 0 or self.done >= self.rounds or late or (self.done == 1 and self.rounds < EVERY):
            learnt, watched = (_last_loss(info.metrics.get(rows)) for rows in ("learn", "validation"))
            seconds = time.monotonic() - self.began
            self.training.on_epoch(Epoch(self.done, learnt or 0.0, None, watched, None, seconds))
        return not late


def _last_loss(metrics: Mapping[str, list[float]] | None) -> float | None:
    return None if not metrics else float(next(iter(metrics.values()))[-1])
