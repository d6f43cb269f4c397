"""What members answer on given rows, and how a weighted mean of those answers scores: without predicting again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core import plugs
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.model import Model
from evermodel.core.output import SMALLEST, softmax
from evermodel.core.table import Array, Table


@dataclass(frozen=True)
class Answers:
    """(members, n, k) log probabilities, or (members, n) values, of the same rows; their labels."""

    y: Array
    parts: Array
    task: str

    def mixed(self, shares: Array) -> Array:
        """(n, k) probabilities or (n,) values of the mean by shares (members,)."""
        mean = np.tensordot(shares / shares.sum(), self.parts, axes=1)
        return mean if self.task == "regression" else softmax(mean)

    def score(self, shares: Array) -> float:
        """By the task's own metric, higher is better; -inf where it cannot be known."""
        name = DEFAULT_METRIC[self.task]
        value = float(plugs.function("metrics", name)(self.y, self.mixed(shares)))
        return value if np.isfinite(value) else float("-inf")

    def loss(self, shares: Array) -> float:
        """Log loss, or mean squared error."""
        p = self.mixed(shares)
        if self.task == "regression":
            return float(np.mean((p - self.y) ** 2))
        return float(-np.log(np.maximum(p[np.arange(len(self.y)), self.y], SMALLEST)).mean())


def answers(members: Sequence[Model], rows: Table) -> Answers:
    """What each member says of the rows."""
    task = members[0].contract.task
    found = np.stack([np.asarray(m.predict(rows.frame), dtype=np.float64) for m in members])
    parts = found if task == "regression" else np.log(np.maximum(found, SMALLEST))
    return Answers(members[0].target(rows), parts, task)
