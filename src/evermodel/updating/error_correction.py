"""Corrects the output of a refit model by part of the error that the model before it made on rows it had not seen."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.model.model import Model
from evermodel.core.model.output import sigmoid, softmax
from evermodel.core.records.update_record import OutputCorrection

CORRECTED_SHARE = {False: 1 / 2, True: 1 / 3}  # network or not: how far to go; from 6 real streams, a flat optimum
STEEPEST = (0.5, 2.0)
CORRECTED = ("regression", "binary")  # tasks; of more classes nothing is moved


def correct_output(model: Model, f: Array, y: Array) -> Model:
    """``model`` with its output moved part of the way from the predictions ``f`` of the model before it to ``y`` (n,).

    That model was trained by the same recipe one update earlier and never saw these rows, so its error estimates the
    error of ``model`` on the rows to come. Regression: y ~ a + b f. Binary: the shift of the log-odds that makes the
    mean probability the base rate (the order of rows stays). Other tasks: nothing is corrected.
    """
    share = CORRECTED_SHARE[model.signature.network]
    output = model.output.without_correction()
    if model.contract.task == "regression":
        a, b = _fit_line(f, y)
        output = dataclasses.replace(output, gain=1.0 + share * (b - 1.0), offset=share * a)
    elif model.contract.task == "binary":
        output = dataclasses.replace(output, offset=share * _shift_log_odds(f[:, 1], y))
    return dataclasses.replace(model, output=output)


def undo_correction(predictions: Array, correction: OutputCorrection | None) -> Array:
    """What a model answered before its output was corrected: only so is its successor's error estimated."""
    if correction is None:
        return predictions
    if predictions.ndim == 1:
        return np.asarray((predictions - correction.offset) / correction.gain)
    odds = np.log(np.clip(predictions, 1e-9, 1.0)) + np.array([0.0, -correction.offset])
    return softmax(odds)


def _fit_line(f: Array, y: Array) -> tuple[float, float]:
    """Least squares y ~ a + b f, b kept within bounds."""
    spread = float(np.var(f))
    slope = float(np.cov(f, y, bias=True)[0, 1] / spread) if spread > 0 else 1.0
    slope = float(np.clip(slope, *STEEPEST))
    return float(y.mean() - slope * f.mean()), slope


def _shift_log_odds(p: Array, y: Array) -> float:
    """The shift of log-odds at which the mean of p is the share of ones, (k + 1/2) / (n + 1); by bisection."""
    wanted = (float((y == 1).sum()) + 0.5) / (len(y) + 1.0)
    p = np.clip(p, 1e-9, 1.0 - 1e-9)
    odds = np.log(p / (1.0 - p))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if float(sigmoid(odds + middle).mean()) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
