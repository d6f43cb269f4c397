"""The scaler of a bare network, learned: a scale and a shift for each column before the network, which stands still."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.model.capabilities import Differentiable
from evermodel.core.model.model import Model
from evermodel.core.model.output import sigmoid
from evermodel.core.model.transform import Feature, Transform

HELD_OUT, STRETCHES = 0.3, 20  # of the reference rows, whole stretches at random: they say whether it is better
MOST_ROWS = 3_000  # drawn from the others; two numbers a column need no more
EPOCHS, BATCH, RATE = 30, 64, 0.01
STEEPEST = 20.0  # a column is stretched or shrunk at most so much
LEAST_ROWS = 100
SURE = 2.0  # standard errors by which the held-out loss must fall


def learn_scaling(model: Model, reference: Table, *, seed: int = 0) -> tuple[Model, float]:
    """The model with center and scale of its numbers learned through the network, and the share of loss that saved.

    For a network whose scaler is lost and was guessed from other rows. Learnt by gradient on part of the reference
    rows and kept only where the loss on the others falls beyond doubt; else the model as it was, and 0. Costs about as
    much as 30 epochs on 3,000 rows. Only moves numbers of the transform: it is what the first layer could absorb.
    """
    at = _find_numbers(model.transform)
    several = bool(model.contract.outputs)
    if several or not isinstance(model.framework, Differentiable) or not len(at) or len(reference) < LEAST_ROWS:
        return model, 0.0
    random = np.random.default_rng(seed)
    stretch = np.arange(len(reference)) * STRETCHES // len(reference)
    held_out = np.isin(stretch, random.permutation(STRETCHES)[: round(HELD_OUT * STRETCHES)])
    first, last = reference.rows(~held_out), reference.rows(held_out)
    first = first.rows(np.sort(random.permutation(len(first))[:MOST_ROWS]))
    scale, shift = _fit_scaling(model, first, at, seed)
    moved = dataclasses.replace(model, transform=_move_transform(model.transform, scale[at], shift[at]))
    before, after = (_losses(m, last) for m in (model, moved))
    saved = before - after
    error = float(saved.std(ddof=1)) / np.sqrt(len(saved))
    if not float(saved.mean()) > SURE * error:
        return model, 0.0
    return moved, float(saved.mean() / before.mean())


def _find_numbers(transform: Transform) -> Array:
    """Positions in x of plain numbers; codes and one-hot columns have no scale to be wrong about."""
    if transform.layout != "matrix" or any(f.encoding == "text" for f in transform.features):
        return np.zeros(0, dtype=np.int64)
    starts = np.cumsum([0, *(f.width for f in transform.features)])[:-1]
    return np.array([s for s, f in zip(starts, transform.features, strict=True) if f.encoding == "value"], dtype=int)


def _fit_scaling(model: Model, rows: Table, at: Array, seed: int) -> tuple[Array, Array]:
    """Scale and shift (columns of x,) by Adam on the loss of the model's output; only the columns ``at`` move."""
    x, y, random = model.transform(rows.frame).astype(np.float64), model.target(rows), np.random.default_rng(seed)
    theta = np.stack([np.ones(x.shape[1]), np.zeros(x.shape[1])])
    mean, square, step = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        for start in range(0, len(x), BATCH):
            part, step = order[start : start + BATCH], step + 1
            gradient = _gradient(model, theta[0] * x[part] + theta[1], y[part])
            slope = np.stack([(gradient * x[part]).sum(axis=0), gradient.sum(axis=0)])
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            move = RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            theta[:, at] -= move[:, at]
            theta[0] = np.clip(theta[0], 1.0 / STEEPEST, STEEPEST)
    return theta[0], theta[1]


def _gradient(model: Model, x: Array, y: Array) -> Array:
    """The mean loss's gradient by x (n, columns): log loss, or squared error in the units of the raw output."""
    rows = x.astype(model.transform.dtype)
    raw = np.asarray(model.framework.predict(model.obj, rows), dtype=np.float64)
    flat = raw.reshape(len(raw), -1)
    if model.contract.task == "regression":
        slope = 2.0 * (flat - model.scale_target(y)[:, None])
    elif flat.shape[1] == 1:
        p = flat if model.output.kind == "probability" else sigmoid(flat)
        slope = p - y[:, None]
        if model.output.kind == "probability":
            slope = slope / np.clip(p * (1.0 - p), 1e-3, None)
    elif model.output.kind == "logit":
        p = model.output(flat)
        slope = p - np.eye(flat.shape[1])[y]
    else:
        slope = -np.eye(flat.shape[1])[y] / np.clip(flat, 1e-3, None)
    framework: Any = model.framework  # Differentiable: learn_scaling asked
    found = framework.compute_input_gradient(model.obj, rows, (slope / len(x)).reshape(raw.shape))
    return np.nan_to_num(np.asarray(found, dtype=np.float64))


def _losses(model: Model, rows: Table) -> Array:
    """(n,) log losses, or squared errors."""
    y, p = model.target(rows), model.predict(rows.frame)
    if model.contract.task == "regression":
        return np.asarray((p - y) ** 2)
    return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-6)))


def _move_transform(transform: Transform, scale: Array, shift: Array) -> Transform:
    """scale * (v - center) / spread + shift, written as one center and one spread."""
    numbers = iter(zip(scale.tolist(), shift.tolist(), strict=True))

    def one(feature: Feature) -> Feature:
        if feature.encoding != "value":
            return feature
        a, b = next(numbers)
        return dataclasses.replace(feature, center=feature.center - b * feature.scale / a, scale=feature.scale / a)

    return dataclasses.replace(transform, features=tuple(one(f) for f in transform.features))
