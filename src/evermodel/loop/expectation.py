"""Finds what a bare model expects: which columns, encoded and normalised how, by its score on reference rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.contract import Contract
from evermodel.core.errors import BadModel, ContractBroken
from evermodel.core.framework import Needs
from evermodel.core.model import Model
from evermodel.core.output import Output
from evermodel.core.table import Array, Table
from evermodel.core.transform import Encoding, Feature, Scaling, Transform, scaling_numbers

SCALINGS: tuple[Scaling, ...] = ("none", "standard", "standard_but_flags", "minmax", "minmax_symmetric", "divide_255")
MOST_ROWS = 5_000  # reference rows each choice is scored on


@dataclass(frozen=True)
class Tried:
    """One way to feed the model, and the share of the trivial baseline's loss that it removed (1: all, <= 0: none)."""

    scaling: Scaling
    encoding: str
    skill: float


def expected_input(
    model: Model, reference: Table, *, only: Transform | None = None, seed: int = 0
) -> tuple[Model, tuple[Tried, ...]]:
    """The model with the transform and output under which it predicts the reference rows best, and what was tried.

    ``only``: the transform is known, the output is looked for. Raises ContractBroken where no encoding has the
    model's width.
    """
    rows = np.random.default_rng(seed).permutation(len(reference))[:MOST_ROWS]
    sample = reference.rows(np.sort(rows))
    best, best_skill, tried = model, -np.inf, []
    for transform, encoding in [(only, "as given")] if only is not None else _transforms(model, sample):
        candidate = dataclasses.replace(model, transform=transform)
        output, skill = _best_output(candidate, sample)
        tried.append(Tried(transform.scaling, encoding, skill))
        if skill > best_skill + 1e-9:
            best, best_skill = dataclasses.replace(candidate, output=output), skill
    return best, tuple(sorted(tried, key=lambda t: -t.skill))


def skill(p: Array, y: Array, task: str) -> float:
    """Share of the trivial baseline's loss that predictions remove: log loss against class shares, or R2.

    For classification the better of that and of the share of wrong answers, because an over-confident model is
    a calibration problem, not a model fed wrongly.
    """
    if not np.isfinite(p).all():
        return float("-inf")
    if task == "regression":
        return float(1.0 - np.mean((p - y) ** 2) / (np.var(y) or 1.0))
    share = np.bincount(y, minlength=p.shape[1]) / len(y)
    trivial = float(-np.log(np.maximum(share, 1e-12))[y].mean())
    loss = float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean())
    by_loss = 1.0 - loss / trivial if trivial > 0 else 0.0
    wrong, wrong_trivially = float((p.argmax(axis=1) != y).mean()), float(1.0 - share.max())
    by_answers = 1.0 - wrong / wrong_trivially if wrong_trivially > 0 else 0.0
    ranked = 2.0 * _auc(p[:, 1], y) - 1.0 if p.shape[1] == 2 else -1.0
    return max(by_loss, by_answers, ranked / 2)


def refuse_blind(tried: tuple[Tried, ...], rows: int) -> None:
    """Raises BadModel where the best choice does not beat the trivial baseline by more than chance does."""
    if tried and tried[0].skill > max(0.01, 1.5 / np.sqrt(min(rows, MOST_ROWS))):
        return
    best = f"{tried[0].skill:.3f} with {tried[0].scaling} scaling, {tried[0].encoding}" if tried else "none"
    raise BadModel(
        f"The model does not beat the trivial baseline on the reference rows, however fed (best skill: {best}).",
        "Give its own scaler with --transform, its columns in order with --inputs, and check --target.",
    )


def _transforms(model: Model, sample: Table) -> Iterator[tuple[Transform, str]]:
    needs, contract = model.needs, model.contract
    if needs.layout == "frame":
        yield Transform(tuple(Feature(c.name) for c in contract.columns), layout="frame"), "as named columns"
        return
    if any(c.kind == "image" for c in contract.columns):
        yield from _image_transforms(contract, needs)
        return
    scalings = SCALINGS if needs.network else ("none",)
    for features, encoding in _encodings(contract, needs):
        for scaling in scalings:
            yield _scaled(features, scaling, sample.frame, needs), encoding


def _image_transforms(contract: Contract, needs: Needs) -> Iterator[tuple[Transform, str]]:
    if needs.shape is None or len(needs.shape) != 3:
        raise ContractBroken(f"The model takes input of shape {needs.shape}, and the data are pictures.")
    column = next(c for c in contract.columns if c.kind == "image")
    kinds: tuple[tuple[Scaling, float, float], ...] = (
        ("none", 0.0, 1.0), ("divide_255", 0.0, 255.0), ("minmax_symmetric", 127.5, 127.5)
    )  # fmt: skip
    for scaling, center, scale in kinds:
        feature = Feature(column.name, "image", center=center, scale=scale)
        yield Transform((feature,), layout="image", scaling=scaling, image=needs.shape), "pixels"


def _encodings(contract: Contract, needs: Needs) -> list[tuple[tuple[Feature, ...], str]]:
    """Every way to encode the columns that has the width the model takes; code tables alone where it does not say."""
    categories = [c for c in contract.columns if c.kind == "category"]
    others = [c for c in contract.columns if c.kind != "category"]
    found: dict[tuple[Feature, ...], str] = {}
    ways: tuple[tuple[Encoding, str], ...] = (
        ("onehot", "one-hot"), ("onehot_drop_first", "one-hot without the first"), ("code", "category codes")
    )  # fmt: skip
    width = needs.shape[0] if needs.shape else None
    for encoding, said in ways if width is not None else ways[2:]:
        for columns, order in ((contract.columns, ""), ((*others, *categories), ", numbers first")):
            features = tuple(
                Feature(c.name, encoding, categories=c.categories) if c.kind == "category" else Feature(c.name)
                for c in columns
            )
            if width in (None, sum(f.width for f in features)):
                found.setdefault(features, (said if categories else "numbers") + (order if categories else ""))
    if not found:
        raise ContractBroken(_wrong_width(contract, width), "Name the model's input columns in order with --inputs.")
    return list(found.items())


def _wrong_width(contract: Contract, width: int | None) -> str:
    numbers = sum(c.kind != "category" for c in contract.columns)
    hot = sum(len(c.categories) for c in contract.columns if c.kind == "category")
    coded = len(contract.columns) - numbers
    return (
        f"The model takes {width} inputs; the data have {numbers} numbers and {coded} category columns: "
        f"{numbers + coded} as codes, {numbers + hot} one-hot, {numbers + hot - coded} one-hot without the first."
    )


def _scaled(features: tuple[Feature, ...], scaling: Scaling, frame: pl.DataFrame, needs: Needs) -> Transform:
    scaled = []
    for feature in features:
        if feature.encoding != "value":
            scaled.append(dataclasses.replace(feature, fill=-1.0) if needs.network else feature)
            continue
        values = frame[feature.column].to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            values = np.zeros(1)
        center, scale = scaling_numbers(scaling, values)
        fill = float(np.median(values)) if needs.network else None  # trees and pipelines take missing values
        scaled.append(dataclasses.replace(feature, center=center, scale=scale, fill=fill))
    return Transform(tuple(scaled), scaling=scaling, dtype="float32" if needs.network else "float64")


def _best_output(model: Model, sample: Table) -> tuple[Output, float]:
    """The reading of the raw output (probabilities, logits, values on another scale) with the highest skill."""
    y, needs, task = model.target(sample), model.needs, model.contract.task
    raw = model.framework.predict(model.obj, model.transform(sample.frame))
    if not np.isfinite(raw).all():
        return model.output, float("-inf")
    if task == "regression":
        return _value_output(raw.reshape(len(raw)), y)
    kinds = ("probability",) if needs.output == "probability" else ("logit",) if needs.output == "logit" else None
    best, best_skill = model.output, float("-inf")
    for kind in kinds or ("probability", "logit"):
        output = Output(kind="logit" if kind == "logit" else "probability")
        p = dataclasses.replace(model, output=output).predict(sample.frame)
        if (p >= 0).all() and (p <= 1 + 1e-6).all() and skill(p, y, task) > best_skill:
            best, best_skill = output, skill(p, y, task)
    return best, best_skill


def _value_output(raw: Array, y: Array) -> tuple[Output, float]:
    """As it is; or, where that is hopeless and a straight line is not, on the scale its target had in training."""
    plain = skill(raw, y, "regression")
    if plain > 0.0 or np.std(raw) == 0:
        return Output(kind="value"), plain
    slope, shift = np.polyfit(raw, y, 1)
    if slope <= 0:
        return Output(kind="value"), plain
    return Output(kind="value", scale=float(slope), shift=(float(shift),)), skill(slope * raw + shift, y, "regression")


def _auc(score: Array, y: Array) -> float:
    ranks = pl.Series(score).rank("average").to_numpy()
    ones = int((y == 1).sum())
    if ones in (0, len(y)):
        return 0.5
    return float((ranks[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))
