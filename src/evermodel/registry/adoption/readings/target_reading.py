"""What was done to the target of a regression before training: stated, or shown by the rows, and never a rescue."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import get_args

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import Ambiguous
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.value_transforms import ValueTransform, accepts_target, transform_target
from evermodel.registry.adoption.readings.reading import Reading, measure_difference, measure_lead, measure_skill

SLOPE = 0.15  # how far the line of the target on the output may be from the slope 1
BIAS = 0.15  # and how far their means may be apart, in spreads of the target
TELLING = 0.1  # share of the (transformed) target's variance from which a fit says something
BEYOND_DOUBT = 4.0  # standard errors by which another reading must beat the plain one
MATERIAL = 0.02  # readings that differ by less, in spreads of the target, answer alike


@dataclass(frozen=True)
class Fit:
    """How the transformed target lies on the raw output."""

    kind: ValueTransform
    skill: float  # share of the transformed target's variance that the raw output explains as it is
    slope: float
    shift: float
    correlation: float
    calibrated: bool  # no correction by a line is needed


def read_regression(model: Model, encoding: str, raw: Array, y: Array, *, output: Output | None = None) -> Reading:
    """The reading of a regression's raw output: as ``output`` says, as it is, or under a transform that the rows prove.

    Where only a correction by a straight line, which could hide any mistake, would make sense of the answers, the
    reading has no skill; ``explain_unread_target`` says what to state.
    """
    values = np.asarray(raw, dtype=np.float64).reshape(len(raw))
    if output is not None:
        return _read(model, encoding, values, y, output)
    plain = _read(model, encoding, values, y, Output("value"))
    if plain.skill > 0.0 and measure_fit("none", values, y).calibrated:
        return plain
    others = [
        _read(model, encoding, values, y, Output("value", target_transform=fit.kind))
        for fit in measure_fits(values, y)
        if fit.kind != "none" and fit.calibrated and fit.skill > TELLING
    ]
    others = sorted((r for r in others if np.isfinite(r.skill)), key=lambda r: -r.skill)
    if not others or others[0].skill <= max(0.0, plain.skill):
        return plain
    best = others[0]
    alike = [r for r in others if measure_difference(best.answers, r.answers, y) <= MATERIAL]
    best = min(alike, key=lambda r: get_args(ValueTransform).index(r.model.output.target_transform))
    return best if measure_lead(best.answers, plain.answers, y) > BEYOND_DOUBT else plain


def find_rival(reading: Reading, raw: Array, y: Array) -> Reading | None:
    """Another transform of the target that fits the rows as well, and under which the answers are materially others."""
    values = np.asarray(raw, dtype=np.float64).reshape(len(raw))
    own = reading.model.output
    for fit in measure_fits(values, y):
        if fit.kind == own.target_transform or not fit.calibrated or fit.skill <= TELLING:
            continue
        rival = _read(reading.model, reading.encoding, values, y, Output("value", target_transform=fit.kind))
        if measure_difference(reading.answers, rival.answers, y) > MATERIAL and (
            measure_lead(reading.answers, rival.answers, y) < BEYOND_DOUBT / 2
        ):
            return rival
    return None


def explain_unread_target(raw: Array, y: Array) -> Ambiguous | None:
    """The error for answers that follow the target and are not in its units; None where they do not follow it."""
    fits = sorted(measure_fits(np.asarray(raw, dtype=np.float64).reshape(len(raw)), y), key=lambda f: -f.correlation)
    if not fits or fits[0].correlation ** 2 <= 2 * TELLING:
        return None
    best, plain = fits[0], next((f for f in fits if f.kind == "none"), fits[0])
    line = plain if plain.correlation > best.correlation - 0.01 else best
    word = "the target" if line.kind == "none" else f"{line.kind} of the target"
    option = f"scale:{line.shift:.6g}:{line.slope:.6g}"
    option = option if line.kind == "none" else f"{line.kind}+{option}"
    return Ambiguous(
        f"The model's answers follow the target (correlation {line.correlation:.3f}) but are in other units: "
        f"{word} is about {line.slope:.4g} * answer + {line.shift:.4g}. No correction of that kind is guessed.",
        "State what was done to the target before training as `target_transform` (log1p, log, sqrt, or as "
        f"{option}, with the true numbers), or give the deployed model's answers for these rows as `predictions`.",
    )


def measure_fits(values: Array, y: Array) -> list[Fit]:
    """How each transform of the target that these rows allow lies on the raw output."""
    return [measure_fit(kind, values, y) for kind in get_args(ValueTransform) if accepts_target(kind, y)]


def measure_fit(kind: ValueTransform, values: Array, y: Array) -> Fit:
    """Slope, bias and correlation of the transformed target (n,) on the raw output (n,)."""
    z = transform_target(kind, y)
    spread, own = float(np.std(z)) or 1.0, float(np.std(values))
    if own == 0.0 or not np.isfinite(values).all():
        return Fit(kind, float("-inf"), 0.0, 0.0, 0.0, calibrated=False)
    correlation = float(np.corrcoef(values, z)[0, 1]) if np.std(z) > 0 else 0.0
    slope = correlation * spread / own
    shift = float(z.mean() - slope * values.mean())
    skill = measure_skill(values, z, "regression")
    calibrated = abs(slope - 1.0) <= SLOPE and abs(float(z.mean() - values.mean())) <= BIAS * spread
    return Fit(kind, skill, slope, shift, correlation, calibrated)


def fit_to_predictions(raw: Array, deployed: Array) -> Output:
    """The output under which raw answers (n,) become the deployed model's own: a transform, and a line if need be."""
    values = np.asarray(raw, dtype=np.float64).reshape(len(raw))
    best, least = Output("value"), float("inf")
    for kind in get_args(ValueTransform):
        if not accepts_target(kind, deployed):
            continue
        z = transform_target(kind, deployed)
        plain = Output("value", target_transform=kind)
        tried = [plain]
        if np.std(values) > 0:
            slope, shift = np.polyfit(values, z, 1)
            if slope > 0:
                tried.append(dataclasses.replace(plain, scale=float(slope), shift=(float(shift),)))
        for number, output in enumerate(tried):
            error = float(np.abs(output(values) - deployed).max())
            if error < least * (
                1.0 if number == 0 and kind == "none" else 0.5
            ):  # the simpler one, unless clearly worse
                best, least = output, error
    return best


def _read(model: Model, encoding: str, values: Array, y: Array, output: Output) -> Reading:
    answers = output(values)
    skill = measure_skill(answers, y, "regression")
    return Reading(dataclasses.replace(model, output=output), encoding, answers, y, skill)
