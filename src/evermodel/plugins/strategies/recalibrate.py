"""Keep the model and recalibrate its output: temperature and intercepts, or a scale and a shift."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadSetting, NoData
from evermodel.core.model.model import Model
from evermodel.core.model.output import SMALLEST, Output, softmax
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.value_transforms import transform_target
from evermodel.core.settings import In

__all__ = ["recalibrate"]
ONE_ROW = 0.25  # Fisher information that one row of an evenly split class has about its log-odds
STEPS = 50
MANY_CLASSES = 200  # with more classes only the temperature is fitted


def recalibrate(
    parents: Sequence[Model],
    data: Split,
    context: Context,
    /,
    *,
    prior: Annotated[float, In(0.0, None)] = 20.0,
    threshold: bool = False,
) -> Model:
    """Fit temperature and intercepts of the output to the new rows; for a regression, a scale and a shift.

    For data in which classes became rarer or levels moved. It is the cheapest strategy, and it cannot forget anything.
    ``prior`` is the weight, in rows, of "no change": with few rows little changes. ``threshold`` also picks, for a
    binary model, the probability with the best F1 on the new rows. Deterministic; costs one prediction of the new
    rows. Raises NoData without new rows.

        $ evermodel update churn new.csv --with recalibrate --set threshold=true
    """
    if not len(data.new_rows):
        raise NoData("recalibrate needs new rows; there are none.")
    champion = parents[0]
    if champion.contract.task == "text":
        raise BadSetting("Free text has no probabilities to recalibrate.", "Use the strategy lora or replay.")
    plain = dataclasses.replace(champion, output=champion.output.without_correction())
    y, now = champion.target(data.new_rows), plain.predict(data.new_rows.frame)
    if champion.contract.task == "regression":
        return dataclasses.replace(plain, output=_fit_scale_and_shift(plain.output, now, y, prior))
    output = _fit_temperature(plain.output, np.log(np.maximum(now, SMALLEST)), y, prior)
    better = dataclasses.replace(plain, output=output)
    if threshold and now.shape[1] == 2:
        at = _best_threshold(better.predict(data.new_rows.frame)[:, 1], y)
        better = dataclasses.replace(better, output=dataclasses.replace(output, threshold=at))
    return better


def _fit_scale_and_shift(output: Output, now: Array, y: Array, prior: float) -> Output:
    """Least squares of the target on the present prediction, shrunk towards the present prediction."""
    now, y = (transform_target(output.target_transform, values) for values in (now, y))
    trusted = len(y) / (len(y) + prior)
    spread = float(np.var(now))
    slope = float(np.mean((now - now.mean()) * (y - y.mean()))) / spread if spread > 0 else 1.0
    gain = 1.0 + trusted * (slope - 1.0)
    offset = now.mean() + trusted * (y.mean() - now.mean()) - gain * now.mean()
    shift = gain * (output.shift[0] if output.shift else 0.0) + float(offset)
    return dataclasses.replace(output, scale=gain * output.scale, shift=(shift,))


def _fit_temperature(output: Output, logs: Array, y: Array, prior: float) -> Output:
    """The output with z = slope * log p + intercepts, most likely given the rows and ``prior`` rows of no change."""
    slope, intercepts = _maximize_likelihood(logs, y, prior)
    shift = np.zeros(logs.shape[1])
    shift[: len(output.shift)] = output.shift
    moved = slope * shift + intercepts
    return dataclasses.replace(output, temperature=output.temperature / slope, shift=tuple(map(float, moved)))


def _maximize_likelihood(logs: Array, y: Array, prior: float) -> tuple[float, Array]:
    """Newton's method on a convex loss; a step that makes it worse is halved."""
    k = logs.shape[1]
    free = 1 if k > MANY_CLASSES else 1 + k
    at = np.zeros(1 + k)
    at[0] = 1.0
    start, hold = at.copy(), ONE_ROW * prior + 1e-6  # the intercepts' sum is free: a little hold keeps it at 0
    loss = _loss(at, start, logs, y, hold)
    for _ in range(STEPS):
        slope, bend = _derivatives(at, start, logs, y, hold)
        step = np.zeros(1 + k)
        step[:free] = np.linalg.solve(bend[:free, :free], slope[:free])
        for _ in range(20):
            tried = at - step
            further = _loss(tried, start, logs, y, hold)
            if tried[0] > 0.01 and further <= loss:
                break
            step /= 2
        else:
            break
        done, at, loss = loss - further < 1e-9 * max(1.0, loss), tried, further
        if done:
            break
    return float(at[0]), at[1:]


def _loss(at: Array, start: Array, logs: Array, y: Array, hold: float) -> float:
    p = softmax(at[0] * logs + at[1:])
    own = np.maximum(p[np.arange(len(y)), y], SMALLEST)
    return float(-np.log(own).sum() + hold / 2 * ((at - start) ** 2).sum())


def _derivatives(at: Array, start: Array, logs: Array, y: Array, hold: float) -> tuple[Array, Array]:
    """First and second derivatives by slope and intercepts: (1 + k,) and (1 + k, 1 + k)."""
    k = logs.shape[1]
    p = softmax(at[0] * logs + at[1:])
    error = p - np.eye(k)[y]
    first = np.concatenate([[float((error * logs).sum())], error.sum(axis=0)]) + hold * (at - start)
    mean = (p * logs).sum(axis=1, keepdims=True)
    away = p * (logs - mean)
    second = np.empty((1 + k, 1 + k))
    second[0, 0] = (away * logs).sum()
    second[0, 1:] = second[1:, 0] = away.sum(axis=0)
    second[1:, 1:] = np.diag(p.sum(axis=0)) - p.T @ p
    return first, second + hold * np.eye(1 + k)


def _best_threshold(p: Array, y: Array) -> float:
    """The probability of class 1 from which answering 1 has the highest F1; 0.5 where no row is of class 1."""
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order] == 1)
    if not len(hits) or hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + hits[-1])
    last = np.append(np.diff(p[order]) != 0, True)  # rows of one probability are answered alike
    best = int(np.argmax(np.where(last, f1, -1.0)))
    below = p[order][best + 1] if best + 1 < len(p) else 0.0
    return float((p[order][best] + below) / 2)
