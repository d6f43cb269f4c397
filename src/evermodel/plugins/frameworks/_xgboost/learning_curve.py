"""Hears of XGBoost's rounds: the learning curve, and the deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch

EVERY = 10  # rounds between two entries of the learning curve


def listener(callback: Any, training: Training, rows: Any, watched: Any, metrics: Sequence[str], rounds: int) -> Any:
    """A callback for xgboost.train; ``rows`` and ``watched`` (or None) are DMatrix, ``callback`` xgboost.callback."""
    began, done = time.monotonic(), 0
    sets = [(rows, "train")] + ([] if watched is None else [(watched, "valid")])
    spreads = {name: float(np.var(data.get_label())) or 1.0 for data, name in sets}

    class Listener(callback.TrainingCallback):  # type: ignore[misc]
        """Asks for the losses only where they are heard: each costs a pass over the rows."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            nonlocal done
            done, late = done + 1, training.out_of_time()
            if done % EVERY == 0 or done == rounds or late:
                found = _values(model.eval_set(sets, epoch))
                current, ahead = (
                    _loss_and_score(found, name, metrics, spreads.get(name, 1.0)) for name in ("train", "valid")
                )
                training.on_epoch(Epoch(done, current[0] or 0.0, current[1], *ahead, seconds=time.monotonic() - began))
            return late

    return Listener()


def _values(line: str) -> dict[str, float]:
    """ "[3]\ttrain-logloss:0.5\tvalid-logloss:0.6" -> {"train-logloss": 0.5, …}."""
    return {name: float(value) for name, _, value in (part.rpartition(":") for part in line.split("\t")[1:])}


def _loss_and_score(
    found: dict[str, float], name: str, metrics: Sequence[str], spread: float
) -> tuple[float | None, float | None]:
    """Loss and accuracy, or mean squared error and R2."""
    if f"{name}-{metrics[0]}" not in found:
        return None, None
    loss = found[f"{name}-{metrics[0]}"]
    if len(metrics) > 1:
        return loss, 1.0 - found[f"{name}-{metrics[1]}"]
    return loss**2, 1.0 - loss**2 / spread
