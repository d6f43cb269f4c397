"""The learning curve of a booster in training: heard every ten rounds, and reckoned no oftener than it is heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.training import Training
from evermodel.core.records.learning_curve import Epoch

EVERY = 10  # rounds between two entries
SMALLEST = 1e-15  # of a probability in a logarithm, as LightGBM has it
Figures = tuple[float | None, float | None]  # loss and score


def watches_itself(settings: Mapping[str, Any], *, from_scratch: bool) -> bool:
    """Whether margins of validation rows may be added up by us, ten trees at a time: 12 % of a training less.

    LightGBM scores its validation sets after each round. Not where later rounds change earlier trees (dart, rf), where
    training goes on from a booster, or where a margin becomes a prediction in another way.
    """
    plain = settings.get("boosting", "gbdt") in ("gbdt", "goss") and not settings.get("reg_sqrt")
    return from_scratch and plain and settings["objective"] in ("binary", "multiclass", "regression")


class Margins:
    """Raw margins of the validation rows, trees added as they come."""

    def __init__(self, x: Any, y: Array, settings: Mapping[str, Any]) -> None:
        self.x, self.y, self.settings = np.asarray(x), np.asarray(y), settings
        self.sum: Any = 0.0
        self.rounds = 0

    def evaluate(self, booster: Any) -> Figures:
        """Loss and score after the rounds so far."""
        now = booster.current_iteration()
        if now > self.rounds:
            more = {"start_iteration": self.rounds, "num_iteration": now - self.rounds}
            self.sum = self.sum + booster.predict(self.x, raw_score=True, validate_features=False, **more)
            self.rounds = now
        return {"binary": self._binary, "multiclass": self._multiclass}.get(self.settings["objective"], self._value)()

    def _binary(self) -> Figures:
        p = 1.0 / (1.0 + np.exp(-float(self.settings.get("sigmoid", 1.0)) * self.sum))
        likely = np.where(self.y > 0, p, 1.0 - p)
        return float(-np.log(np.maximum(likely, SMALLEST)).mean()), float(((p > 0.5) == (self.y > 0)).mean())

    def _multiclass(self) -> Figures:
        z = self.sum - self.sum.max(axis=1, keepdims=True)
        codes = self.y.astype(int)
        own = z[np.arange(len(codes)), codes] - np.log(np.exp(z).sum(axis=1))
        return float(-np.maximum(own, np.log(SMALLEST)).mean()), float((z.argmax(axis=1) == codes).mean())

    def _value(self) -> Figures:
        loss = float(((self.y - self.sum) ** 2).mean())
        return loss, 1.0 - loss / (float(np.var(self.y)) or 1.0)


def listener(
    training: Training,
    y: Array,
    metrics: Sequence[str],
    rounds: int,
    stop: type[Exception],
    margins: Margins | None,
) -> Callable[[Any], None]:
    """A callback for lightgbm.train; ``margins`` watch the validation rows, or LightGBM's own evaluations do."""
    began = time.monotonic()
    spread = float(np.var(y)) or 1.0
    watched = 1.0 if training.validation is None else float(np.var(training.validation[1])) or 1.0

    def hear(env: Any) -> None:
        done, late = env.iteration - env.begin_iteration + 1, training.out_of_time()
        if done % EVERY == 0 or done == rounds or late or (done == 1 and rounds < EVERY):
            figures = _loss_and_score(env.model.eval_train(), metrics, spread)
            own = _loss_and_score(env.evaluation_result_list or [], metrics, watched)
            ahead = own if margins is None else margins.evaluate(env.model)
            training.on_epoch(Epoch(done, figures[0] or 0.0, figures[1], *ahead, seconds=time.monotonic() - began))
        if late:
            raise stop(env.iteration, [])

    return hear


def _loss_and_score(found: Sequence[tuple[Any, ...]], metrics: Sequence[str], spread: float) -> Figures:
    """Loss and accuracy, or mean squared error and R2, out of LightGBM's list of evaluations."""
    values = {str(name): float(value) for _, name, value, *_ in found}
    if not values:
        return None, None
    loss = values[metrics[0]]
    return loss, 1.0 - values[metrics[1]] if len(metrics) > 1 else 1.0 - loss / spread
