"""How heavy an update is, and the loss that decides whether a heavier one is needed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UpdateMode(StrEnum):
    """From light to heavy.

    ``incremental``: the output or a booster's leaves are learnt anew, on the new rows. ``single_fit``: one full
    training, refit incrementally. ``tune``: a search over hyperparameters.
    """

    INCREMENTAL = "incremental"
    SINGLE_FIT = "single_fit"
    TUNE = "tune"

    @property
    def weight(self) -> int:
        return list(UpdateMode).index(self)


def heavier_mode(before: UpdateMode | None, mode: UpdateMode) -> UpdateMode:
    """The heavier of the two."""
    return mode if before is None or mode.weight > before.weight else before


@dataclass(frozen=True)
class UnrecoveredLoss:
    """A loss of score that an alarm showed and an update answered, until half of it is recovered."""

    before: float  # score of the champion when promoted
    after: float  # and when the alarm was answered
    mode: UpdateMode  # the heaviest that was tried
    n_known: int  # rows known before it
    n_tried: int = 0  # rows known when a full training last tried
    is_short: bool = False  # rows labelled since show that less than half was recovered

    def compute_recovered_share(self, score: float) -> float:
        """The share of the loss that a later score recovers; of scores of any direction."""
        return (score - self.after) / (self.before - self.after) if self.before != self.after else 1.0

    def justifies_training(self, n_known: int) -> bool:
        """Whether enough rows have come to teach a full training more: twice as many as when it last tried."""
        return not self.n_tried or n_known - self.n_known >= 2 * (self.n_tried - self.n_known)
