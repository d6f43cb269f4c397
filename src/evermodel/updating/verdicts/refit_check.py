"""Checks that a model refit on all rows is the model that was judged, but for the rows that it saw more of."""

from __future__ import annotations

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.model.model import Model
from evermodel.core.records.update_record import RefitCheck
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.updating.update_input import UpdateInput

LIMIT = {"regression": 0.75, "binary": 0.25, "multiclass": 0.35, "text": 0.35}  # beyond, the two are not one model
PAST_TOLERANCE = 0.02  # the refit model may lose that much of the metric on rows known before


def check_refit(update_input: UpdateInput, judged: Model, refit: Model) -> RefitCheck:
    """Compares both models' answers for the judged rows, and their scores on rows known before.

    The refit model was trained on the judged rows, so that they cannot judge it: they only show how far it moved. Where
    it moved beyond the limit, or is shown worse on rows known before, the judged model is to be stored instead.
    """
    rows, task = update_input.judged_rows, judged.contract.task
    difference = measure_difference(judged.answer_rows(rows), refit.answer_rows(rows), judged.target(rows), task)
    past, retention = None, update_input.retention_rows
    if retention is not None and len(retention):
        answers = judged.answer_rows(retention), refit.answer_rows(retention)
        past = compare_predictions(DEFAULT_METRIC[task], PairedPredictions(judged.target(retention), *answers))
    is_worse = past is not None and past.gain_high < 0 and past.gain < -PAST_TOLERANCE
    keeps = difference <= LIMIT[task] and not is_worse
    return RefitCheck(difference, LIMIT[task], len(rows), past, keeps)


def measure_difference(one: Array, other: Array, y: Array, task: Task) -> float:
    """How far two models' answers lie apart: 0 is equal; of probabilities 1 is as far as can be.

    Of free text: the probability of a token of the reference answer, its geometric mean over the answer.
    """
    if task == "text":
        likely = [np.exp(-nats[:, 0] / np.maximum(y, 1.0)) for nats in (one, other)]
        return float(np.abs(likely[0] - likely[1]).mean())
    if one.ndim == 2:
        return float(np.abs(one - other).sum(axis=1).mean() / 2)
    spread = float(np.std(y))
    return float(np.sqrt(np.mean((one - other) ** 2)) / spread) if spread > 0 else float((one != other).any())
