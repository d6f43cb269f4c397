"""Reads a bare model under one transform after the other, on the same rows, and compares the readings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.several_outputs import take_primary
from evermodel.registry.adoption.deployed_predictions import DeployedPredictions
from evermodel.registry.adoption.deployed_predictions import measure_parity as compare_answers
from evermodel.registry.adoption.readings.close_readings import ALIKE
from evermodel.registry.adoption.readings.reading import (
    Reading,
    explain_several_answers,
    measure_lead,
    read_classifier,
)
from evermodel.registry.adoption.readings.target_reading import fit_to_predictions, read_regression

SAME = 1e-6  # mean difference from the deployed model's answers below which a reading is theirs


@dataclass
class ModelReader:
    """Reads a model under one transform after the other, on the same rows; keeps the raw outputs of each reading."""

    sample: Table
    y: Array
    deployed: DeployedPredictions | None  # the answers that prove a reading, for these rows
    output: Output | None = None  # of a regression, where it is stated
    settled: bool = False  # which output is which class
    raws: dict[int, Array] = field(default_factory=dict)
    kept: list[Reading] = field(default_factory=list)  # so that no two have one id

    def read(self, model: Model, encoding: str) -> list[Reading]:
        """The readings of the model's outputs; none where one of them is no number."""
        return self.read_inputs(model, encoding, model.transform(self.sample.frame))

    def read_inputs(self, model: Model, encoding: str, x: Array) -> list[Reading]:
        """The readings of the model's outputs for its inputs ``x`` (n, …), whatever its transform makes of the rows."""
        raw = model.framework.predict(model.obj, x)
        if model.contract.outputs:
            raw = take_primary(raw, model.contract.outputs)
        _check_width(model, raw)
        if not np.isfinite(raw).all():
            return []
        if model.contract.task == "regression":
            output = self.output
            if output is None and self.deployed is not None and self.deployed.values is not None:
                output = fit_to_predictions(raw, self.deployed.values)
            found = [read_regression(model, encoding, raw, self.y, output=output)]
        else:
            labels = None if self.deployed is None else self.deployed.label_codes()
            codes = self.y if labels is None else labels
            found = read_classifier(model, encoding, raw, codes, settled=self.settled)
        self.raws |= {id(reading): raw for reading in found}
        self.kept += found
        return found

    def read_best(self, model: Model, encoding: str) -> Reading | None:
        found = self.read(model, encoding)
        if self.deployed is not None:
            return min(found, key=self.measure_parity, default=None)
        return max(found, key=lambda reading: reading.skill, default=None)

    def is_nearer(self, one: Reading, other: Reading) -> bool:
        """Whether one reading is nearer to the deployed model's answers than the other."""
        return self.measure_parity(one) < self.measure_parity(other) - SAME

    def is_ahead(self, one: Reading, other: Reading) -> bool:
        """Whether one reading explains the rows better than the other, hardly by chance."""
        return one.skill > other.skill and measure_lead(one.answers, other.answers, other.y) > ALIKE

    def measure_parity(self, reading: Reading) -> float:
        if self.deployed is None:
            raise ValueError("There are no answers of the deployed model.")
        return compare_answers(reading.answers, self.deployed, reading.order).mean


def _check_width(model: Model, raw: Array) -> None:
    """Raises BadModel for a regression with several numbers a row, or fewer outputs than classes."""
    width = int(np.prod(raw.shape[1:])) if raw.ndim > 1 else 1
    if model.contract.task == "regression" and width != 1:
        raise BadModel(
            f"The model gives {width} numbers a row, and the target is one.",
            explain_several_answers(model),
        )
    if model.contract.task != "regression" and max(width, 2) < len(model.contract.classes):
        raise BadModel(f"The model gives {width} numbers a row for {len(model.contract.classes)} classes.")
