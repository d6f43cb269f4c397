"""Finds what a bare model expects: which columns, encoded and normalised how, and which output is which class.

The evidence is the deployed model's own answers where they are given, else how well each reading explains the
reference rows. A choice between readings that answer differently and fit alike is never made here: it is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import LabelNaming
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.transform import Transform
from evermodel.registry.adoption.classes import explain_contradiction
from evermodel.registry.adoption.deployed_predictions import DeployedPredictions, measure_parity
from evermodel.registry.adoption.readings.class_order import find_class_order
from evermodel.registry.adoption.readings.close_readings import (
    drop_alike,
    explain_tie,
    is_surely_better,
    is_unscaled,
    prefer_unscaled,
    refuse_second_scaling,
    refuse_tie,
)
from evermodel.registry.adoption.readings.column_functions import apply_functions, explain_functions, search_functions
from evermodel.registry.adoption.readings.doubtful_readings import rank_by_loss, refuse_doubtful
from evermodel.registry.adoption.readings.input_ways import list_ways
from evermodel.registry.adoption.readings.model_reader import SAME, ModelReader
from evermodel.registry.adoption.readings.reading import (
    Reading,
    measure_lead,
    measure_overconfidence,
    measure_share_error,
)
from evermodel.registry.adoption.readings.target_reading import (
    explain_unread_target,
    find_rival,
)
from evermodel.registry.adoption.stated_scaling import StatedScaling

MOST_ROWS = 5_000  # reference rows each choice is scored on
OVERCONFIDENT = 0.05  # share of the trivial loss that halving the log-odds saves, from which a reading is not trusted
SHARES_APART = 0.1  # of a class, in its mean probability and in the rows, beside an unusual order of the outputs


@dataclass(frozen=True)
class Choice:
    """The readings of a model, the best first; the others answer differently, each in its own way."""

    readings: tuple[Reading, ...]
    rows: int  # that they were scored on

    @property
    def best(self) -> Reading:
        return self.readings[0]

    @property
    def lead(self) -> float | None:
        """Standard errors by which the best is ahead of the runner-up; None where there is none."""
        if self.runner_up is None or self.best.answers.shape != self.runner_up.answers.shape:
            return None
        return measure_lead(self.best.answers, self.runner_up.answers, self.best.y)

    @property
    def runner_up(self) -> Reading | None:
        return self.readings[1] if len(self.readings) > 1 else None


@dataclass(frozen=True)
class Stated:
    """What is known of the reading beforehand: nothing of it is looked for."""

    transform: Transform | None = None
    unscaled: bool = False  # the columns go in as they are; their encoding is open
    scaling: StatedScaling | None = None  # of which kind; its numbers are learnt from the rows
    output: Output | None = None  # of a regression
    classes: bool = False  # which output is which class
    deployed: DeployedPredictions | None = None
    stand_in: bool = False  # the rows came after the model's training, which may have become wrong since


def infer_reading(model: Model, reference: Table, stated: Stated, *, seed: int = 0) -> Choice:
    """The reading under which the model answers as the deployed one did, or else predicts the reference rows best.

    Raises BadModel where no reading beats the trivial baseline, Ambiguous where two that answer differently fit alike
    or only a correction of the answers would make sense of them, ContractBroken where no encoding has the width.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(reference))[:MOST_ROWS])
    sample = reference.rows(rows)
    deployed = _take_rows(stated.deployed, rows)
    y = model.target(sample)
    reader = ModelReader(sample, y, deployed, stated.output, settled=stated.classes)
    tried = [reading for way in _list_open_ways(model, sample, stated) for reading in reader.read(*way)]
    said = stated.transform is not None or stated.unscaled or stated.scaling is not None
    open_scaling = model.signature.network and not (said or stated.stand_in)
    if deployed is not None:
        nearest = _rank_by_parity(tried, deployed)
        if open_scaling and nearest and reader.measure_parity(nearest[0]) > SAME:
            found = search_functions(nearest, sample.frame, reader.read_best, reader.is_nearer)
            nearest = nearest if found is None else (found, nearest[0])
        return Choice(nearest, len(sample))
    ranked = sorted(tried, key=lambda reading: -reading.skill)
    if open_scaling and ranked:
        found = search_functions(ranked, sample.frame, reader.read_best, reader.is_ahead)
        if found is not None and is_surely_better(found, ranked[0]):
            raise explain_functions(found, ranked[0])
    raws, regression = reader.raws, model.contract.task == "regression"
    if not isinstance(model.framework, LabelNaming):  # whose reading is not open: it may not know the task yet
        _refuse_blind(ranked, raws, y, len(sample), regression and stated.output is None)
    if not regression and _is_guessed(model, stated):
        _refuse_misfit(prefer_unscaled(ranked, y)[0])
    ranked = prefer_unscaled(rank_by_loss(ranked) if open_scaling else ranked, y)
    if stated.transform is None and stated.scaling is None:
        refuse_second_scaling(ranked)
    distinct = drop_alike(ranked, y)
    refuse_tie(distinct, y)
    if regression and stated.output is None:
        rival = find_rival(ranked[0], raws[id(ranked[0])], y)
        if rival is not None:
            raise explain_tie(ranked[0], rival)
    if open_scaling:
        refuse_doubtful(ranked[0], reader)
    return Choice(distinct, len(sample))


def _list_open_ways(model: Model, sample: Table, stated: Stated) -> Iterator[tuple[Model, str]]:
    """Every way to feed the model that what is stated leaves open."""
    if stated.transform is not None:
        yield dataclasses.replace(model, transform=stated.transform), "as given"
        return
    scaling = stated.scaling
    for candidate, encoding in list_ways(model, sample, None if scaling is None else scaling.kind):
        if stated.unscaled and not is_unscaled(candidate.transform):
            continue
        if scaling is not None and scaling.functions:
            made = apply_functions(candidate.transform, scaling.functions, sample.frame)
            functions = [f"{function} of {column}" for column, function in scaling.functions.items()]
            yield dataclasses.replace(candidate, transform=made), ", ".join([encoding, *functions])
        else:
            yield candidate, encoding


def _take_rows(deployed: DeployedPredictions | None, rows: Array) -> DeployedPredictions | None:
    if deployed is None:
        return None
    kinds = (deployed.labels, deployed.values, deployed.probabilities)
    labels, values, probabilities = (None if kind is None else kind[rows] for kind in kinds)
    return dataclasses.replace(deployed, labels=labels, values=values, probabilities=probabilities)


def _rank_by_parity(tried: Sequence[Reading], deployed: DeployedPredictions) -> tuple[Reading, ...]:
    parities = {id(r): measure_parity(r.answers, deployed, r.order) for r in tried}
    ranked = sorted(tried, key=lambda r: (round(parities[id(r)].mean, 9), -r.skill))
    return tuple(ranked[:2])


def _refuse_blind(ranked: Sequence[Reading], raws: dict[int, Array], y: Array, rows: int, explain_target: bool) -> None:
    """Raises where the best reading does not beat the trivial baseline by more than chance does."""
    if ranked and ranked[0].skill > max(0.01, 1.5 / np.sqrt(min(rows, MOST_ROWS))):
        return
    for reading in ranked:
        if reading.order is None and reading.answers.ndim > 1:
            order = find_class_order(reading.answers, reading.y)
            if order.given_is_refuted:
                raise explain_contradiction(reading.model.contract, order)
    if explain_target:
        errors = [explain_unread_target(raws[id(reading)], y) for reading in ranked]
        if any(errors):
            raise next(error for error in errors if error is not None)
    best = f"{ranked[0].skill:.3f} with {ranked[0].description}" if ranked else "none"
    raise BadModel(
        f"The model does not beat the trivial baseline on the reference rows, however fed (best skill: {best}).",
        "Give its own scaler as `transform`, its columns in order as `inputs` and the order of its outputs as "
        "`classes`, or the deployed model's answers for these rows as `predictions`; and check the target.",
    )


def _is_guessed(model: Model, stated: Stated) -> bool:
    """Whether both the columns of a network and their scaling are only what fits rows like its training's best."""
    scaled = stated.unscaled or stated.transform is not None or stated.scaling is not None
    known = scaled or stated.stand_in or model.contract.roles.inputs is not None
    return model.signature.network and not known and model.signature.layout == "matrix" and not model.transform.inputs


def _refuse_misfit(best: Reading) -> None:
    """Raises BadModel where the best reading would need a correction of its answers: it is then probably another."""
    surplus = measure_overconfidence(best.answers, best.y)
    found = ""
    if surplus > OVERCONFIDENT:
        found = (
            "its answers are far too sure: with half of their log-odds they would fit these rows better, by "
            f"{surplus:.0%} of the log loss that the shares of the classes alone have"
        )
    elif best.order is not None and list(best.order.columns) != sorted(best.order.columns):
        error = measure_share_error(best.answers, best.y)
        if error > SHARES_APART:
            found = (
                "its outputs are in an unusual order, and the mean probability of a class is "
                f"{100 * error:.0f} points away from its share of the rows"
            )
    if found:
        raise BadModel(
            f"The best reading of the model is probably not how it was trained ({best.description}; skill "
            f"{best.skill:.2f}): on the reference rows {found}.",
            "Name its columns in order as `inputs`, give its own scaler as `transform`, or the deployed model's "
            "answers for these rows as `predictions`.",
        )
