"""The members' predictions for given rows, and how their weighted mean scores, without predicting again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.data.task import Task
from evermodel.core.model.model import Model
from evermodel.core.model.output import SMALLEST, softmax
from evermodel.core.stats.metric import METRICS
from evermodel.judging.task_metrics import DEFAULT_METRIC


@dataclass(frozen=True)
class MemberPredictions:
    """Predictions of several models for the same rows, and the rows' labels ``y`` (n,)."""

    y: Array
    parts: Array  # (members, n, k) log probabilities, or (members, n) values
    task: Task

    def average(self, shares: Array) -> Array:
        """(n, k) probabilities or (n,) values: the mean weighted by ``shares`` (members,)."""
        mean = np.tensordot(shares / shares.sum(), self.parts, axes=1)
        return mean if self.task == "regression" else softmax(mean)

    def score(self, shares: Array) -> float:
        """The task's default metric of the weighted mean; -inf where the rows do not determine it."""
        name = DEFAULT_METRIC[self.task]
        value = float(METRICS.load(name)(self.y, self.average(shares)))
        return value if np.isfinite(value) else float("-inf")

    def loss(self, shares: Array) -> float:
        """Log loss, or mean squared error, of the weighted mean."""
        p = self.average(shares)
        if self.task == "regression":
            return float(np.mean((p - self.y) ** 2))
        return float(-np.log(np.maximum(p[np.arange(len(self.y)), self.y], SMALLEST)).mean())


def predict_members(members: Sequence[Model], rows: Table) -> MemberPredictions:
    """Each member's predictions for the rows."""
    task = members[0].contract.task
    predictions = np.stack([np.asarray(m.predict(rows.frame), dtype=np.float64) for m in members])
    parts = predictions if task == "regression" else np.log(np.maximum(predictions, SMALLEST))
    return MemberPredictions(members[0].target(rows), parts, task)
