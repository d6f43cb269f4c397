"""A framework of its own: the nearest of one centre a class, in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.framework import Signature
from evermodel.core.model.training import Training
from evermodel.core.plugins import Confidence
from evermodel.core.records.learning_curve import Epoch

EXTRA = "stranger-plugins"
SIGN = b'{"centroids": '  # how its files begin
STEP = 0.7  # of the way to the mean of its rows that a centre goes in one epoch


@dataclass(frozen=True)
class Centroids:
    """One centre a class: the class of a row is that of the nearest centre."""

    centres: Array  # (k, d)
    classes: tuple[Any, ...]


def is_model(obj: Any, /) -> bool:
    """An object of the class above."""
    return isinstance(obj, Centroids)


def recognize(path: Path, /) -> Confidence:
    """By how the file begins, whatever it is called."""
    if not path.is_file():
        return Confidence.NO
    with path.open("rb") as file:
        return Confidence.CERTAIN if file.read(len(SIGN)) == SIGN else Confidence.NO


def suffixes() -> tuple[str, ...]:
    """The files that it writes."""
    return (".centroids",)


def read_file(path: Path, /, *, trust: bool = False, factory: str | None = None) -> Centroids:
    """A user's file; JSON runs no code. Raises BadModel for a file that is torn."""
    if factory is not None:
        raise BadSetting("A .centroids file holds the whole model, so it needs no factory.", "Leave it out.")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Centroids(np.array(raw["centroids"], dtype=np.float64), tuple(raw["classes"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{path.name} is no whole .centroids file ({error}).") from error


def write_file(obj: Centroids, to: Path, /) -> None:
    """A file for the user."""
    to.write_text(json.dumps({"centroids": obj.centres.tolist(), "classes": list(obj.classes)}), encoding="utf-8")


def save(obj: Centroids, to: Path, /) -> None:
    """Into an empty folder of the registry."""
    write_file(obj, to / "model.centroids")


def load(at: Path, /) -> Centroids:
    """From such a folder."""
    return read_file(at / "model.centroids")


def read_signature(obj: Centroids, /) -> Signature:
    """A matrix of numbers in, a probability a class out."""
    classes, columns = obj.centres.shape
    task = "binary" if classes == 2 else "multiclass"
    return Signature(shape=(columns,), task=task, classes=obj.classes, outputs=classes, output="probability")


def predict(obj: Centroids, x: Array, /) -> Array:
    """(n, d) -> (n, k) probabilities: the softmax of the negative squared distances."""
    distances = ((np.asarray(x, dtype=np.float64)[:, None, :] - obj.centres[None]) ** 2).sum(axis=2)
    scores = np.exp(distances.min(axis=1, keepdims=True) - distances)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def fit(obj: Centroids, x: Array, y: Array, training: Training, /, *, from_scratch: bool) -> Centroids:
    """A new object whose centres went, epoch by epoch, to the weighted means of their rows; O(epochs * n * d)."""
    x = np.asarray(x, dtype=np.float64)
    weight = np.ones(len(y)) if training.weight is None else training.weight
    classes = training.classes or obj.classes
    middle = np.average(x, axis=0, weights=weight)
    centres = np.tile(middle, (len(classes), 1))
    if not from_scratch:
        centres[: len(obj.centres)] = obj.centres
    for number in range(1, (training.epochs or 10) + 1):
        if training.out_of_time():
            break
        for code in range(len(classes)):
            inside = y == code
            if weight[inside].sum() > 0:
                mean = np.average(x[inside], axis=0, weights=weight[inside])
                centres[code] += STEP * (mean - centres[code])
        fitted = Centroids(centres.copy(), tuple(classes))
        watched = None if training.validation is None else _loss(fitted, *training.validation)
        training.on_epoch(Epoch(number, _loss(fitted, x, y), validation_loss=watched))
    return Centroids(centres, tuple(classes))


def get_weights(obj: Centroids, /) -> list[Array]:
    """An optional ability, WeightAccess: strategies can shrink, perturb and average the centres."""
    return [obj.centres.copy()]


def replace_weights(obj: Centroids, weights: Sequence[Array], /) -> Centroids:
    """A new object with other centres."""
    return Centroids(np.array(weights[0], dtype=np.float64), obj.classes)


def _loss(obj: Centroids, x: Array, y: Array) -> float:
    chances = predict(obj, x)[np.arange(len(y)), y.astype(int)]
    return float(-np.log(np.maximum(chances, 1e-12)).mean())
