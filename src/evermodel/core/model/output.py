"""From what a model object gives to probabilities or values; where recalibration happens."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.value_transforms import ValueTransform, invert_target

SMALLEST = 1e-12  # a probability of 0 has no logarithm


@dataclass(frozen=True)
class Output:
    """Raw output -> (n, k) probabilities, or (n,) values for regression (``kind`` "value": scale * raw + shift, then
    the inverse of what the team did to the target before training, ``target_transform``).

    For classification, log probabilities are divided by ``temperature``, ``shift`` (k,) is added, and they are
    normalised again. ``threshold`` is the probability of class 1 from which a binary model answers 1. ``gain`` and
    ``offset`` (of the value; of the log-odds of class 1) are the correction that
    ``updating/error_correction.py`` learns.
    """

    kind: Literal["probability", "logit", "value"] = "probability"
    temperature: float = 1.0
    shift: tuple[float, ...] = ()
    scale: float = 1.0
    threshold: float = 0.5
    gain: float = 1.0
    offset: float = 0.0
    target_transform: ValueTransform = "none"

    def __call__(self, raw: Array) -> Array:
        raw = np.asarray(raw, dtype=np.float64)
        if self.kind == "value":
            value = self.scale * raw.reshape(len(raw)) + (self.shift[0] if self.shift else 0.0)
            return np.asarray(self.gain * invert_target(self.target_transform, value) + self.offset)
        p = probabilities(raw, self.kind)
        if self.temperature == 1.0 and not self.shift and not self.offset:
            return p
        new = len(self.shift) - p.shape[1]  # classes that came after the object was made: recalibrated, they have one
        p = np.pad(p, ((0, 0), (0, new))) if new > 0 else p
        shift = np.zeros(p.shape[1])
        shift[: len(self.shift)] = self.shift
        if p.shape[1] == 2:
            shift[1] += self.offset
        if self.temperature == 1.0 and not shift.any():
            return p
        return softmax(np.log(np.maximum(p, SMALLEST)) / self.temperature + shift)

    def without_correction(self) -> Output:
        """The same output without what was learnt from how the champion erred on the rows that came after it."""
        return dataclasses.replace(self, gain=1.0, offset=0.0)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Output:
        raw: dict[str, Any] = json.loads(text)
        return cls(**{**raw, "shift": tuple(raw["shift"])})


def probabilities(raw: Array, kind: str) -> Array:
    """(n,), (n, 1) or (n, k) raw output -> (n, k) probabilities, k >= 2."""
    raw = raw.reshape(len(raw), -1)
    if raw.shape[1] == 1:
        one = sigmoid(raw) if kind == "logit" else raw
        both = np.empty((len(one), 2), dtype=one.dtype)
        both[:, 0], both[:, 1] = 1.0 - one[:, 0], one[:, 0]
        return both
    return softmax(raw) if kind == "logit" else raw


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)); of a very negative number 0, without a warning: e^1000 is more than a number holds."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-z)))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
