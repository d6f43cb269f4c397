"""Corrects a finished model by how its forerunner erred on rows it had not seen: half of the way, and no more."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.model import Model
from evermodel.core.table import Array

SHARE = {False: 1 / 2, True: 1 / 3}  # network or not: how far to go; from 6 real streams, a flat optimum
STEEPEST = (0.5, 2.0)
CORRECTED = ("regression", "binary")  # tasks; of more classes nothing is moved


def corrected(model: Model, f: Array, y: Array) -> Model:
    """``model`` with its output moved part of the way from its forerunner's answers ``f`` to the true ``y`` (n,).

    The forerunner was made by the same recipe one update earlier and never saw these rows, so its error is an honest
    guess of ``model``'s on the rows to come. Regression: y ~ a + b f. Binary: the shift of the log-odds that makes the
    mean probability the base rate (the order of rows stays). Other tasks: nothing.
    """
    share = SHARE[model.needs.network]
    output = model.output.uncorrected()
    if model.contract.task == "regression":
        a, b = _line(f, y)
        output = dataclasses.replace(output, gain=1.0 + share * (b - 1.0), offset=share * a)
    elif model.contract.task == "binary":
        output = dataclasses.replace(output, offset=share * _shift(f[:, 1], y))
    return dataclasses.replace(model, output=output)


def _line(f: Array, y: Array) -> tuple[float, float]:
    """Least squares y ~ a + b f, b kept within bounds."""
    spread = float(np.var(f))
    slope = float(np.cov(f, y, bias=True)[0, 1] / spread) if spread > 0 else 1.0
    slope = float(np.clip(slope, *STEEPEST))
    return float(y.mean() - slope * f.mean()), slope


def _shift(p: Array, y: Array) -> float:
    """The shift of log-odds at which the mean of p is the share of ones, (k + 1/2) / (n + 1); by bisection."""
    wanted = (float((y == 1).sum()) + 0.5) / (len(y) + 1.0)
    p = np.clip(p, 1e-9, 1.0 - 1e-9)
    odds = np.log(p / (1.0 - p))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if float((1.0 / (1.0 + np.exp(-(odds + middle)))).mean()) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
