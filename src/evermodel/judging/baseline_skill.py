"""Forecast skill: how much of the trivial baseline's loss a model removes."""

from __future__ import annotations

from typing import cast

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.stats.metric import METRICS, Additive
from evermodel.judging.judge_input import JudgeInput

NAN = float("nan")


def measure_skill(judge_input: JudgeInput, predictions: Array) -> tuple[float, float]:
    """Share of the trivial baseline's loss that the predictions for the new rows remove, and its standard error.

    Loss: Brier score, or squared error for regression. 1 is perfect, 0 as bad as trivial; NaN without a baseline.
    """
    rows = judge_input.new
    if judge_input.trivial_predictions is None:
        return NAN, NAN
    sums = cast(Additive, METRICS.load_module("rmse" if judge_input.task == "regression" else "brier")).sums
    own = sums(rows.y, predictions)[:, 0]
    trivial = sums(rows.y, judge_input.trivial_predictions)[:, 0]
    if not trivial.sum() > 0:
        return NAN, NAN
    share = float(own.sum() / trivial.sum())
    codes = np.arange(len(own)) if rows.groups is None else np.unique(rows.groups, return_inverse=True)[1]
    scatter = np.bincount(codes.reshape(-1), weights=own - share * trivial)
    return 1.0 - share, float(np.sqrt((scatter**2).sum()) / trivial.sum())
