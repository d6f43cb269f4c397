"""An XGBoost booster as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Boosted:
    """A booster with what its native file cannot hold: how it was trained, labels, the length of a fresh training.

    ``rounds`` stays what it was at adoption while trees are added or put side by side: a refit must not grow with them.
    """

    booster: Any  # xgboost.Booster
    recipe: Mapping[str, str]
    tables: tuple[tuple[Any, ...], ...]  # categories behind the codes, if the model was trained on a frame
    classes: tuple[Any, ...] | None
    groups: int
    rounds: int
    parts: tuple[tuple[int, float], ...] = ()  # (rounds, share) of what was put side by side

    @property
    def width(self) -> int:
        return int(self.booster.num_features())
