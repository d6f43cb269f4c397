"""What the deployed model itself answered for the reference rows: the proof that it was understood."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.frame_digest import digest_frame
from evermodel.core.data.scan import collect, scan
from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_code, class_text
from evermodel.core.data.values import number
from evermodel.core.errors import BadData, NotFound
from evermodel.core.model.model import Model
from evermodel.core.records.adoption_record import Parity
from evermodel.registry.adoption.readings.class_order import ClassOrder

CARRIED = "__deployed_prediction__"  # columns in which predictions travel through the cleaning of rows
NOT_ANSWERS = ("row", "id", "index", "row_id", "key", "uuid")  # columns of a file of predictions that are none
TOLERANCE = 1e-4  # of the largest answer, or of a probability: more is not the same answer
EXACT = 1e-9
NOT_LEARNT = ("none", "given", "divide_255")  # scalings without numbers of the rows
FEWER_DIGITS = 1e-3  # of a probability or of the answers' spread: what computing in 16 bits changes in the mean


@dataclass(frozen=True)
class DeployedPredictions:
    """Answers for the rows of a table: labels as class codes (n,), values (n,), or probabilities (n, k).

    ``named``: the columns of probabilities belong to the contract's classes, in its order; else to the model's outputs.
    """

    labels: Array | None = None
    values: Array | None = None
    probabilities: Array | None = None
    named: bool = False
    rounding: float = 0.0  # half of the last digit that was written

    def label_codes(self) -> Array | None:
        """(n,) codes of the classes that the deployed model answered; None where the answers do not say them."""
        if self.labels is None and self.named and self.probabilities is not None:
            return np.asarray(self.probabilities.argmax(axis=1))
        return self.labels


def attach_predictions(frame: pl.LazyFrame, given: Any) -> tuple[pl.LazyFrame, tuple[str, ...], tuple[str, ...]]:
    """The rows with the deployed model's answers beside them; their columns there, and the columns they came from.

    ``given`` names columns of the rows (A, or A,B,C), or is a file or a live frame or array of as many rows in the
    same order. Raises NotFound, BadData.
    """
    columns = frame.collect_schema().names()
    if isinstance(given, str) and all(part.strip() in columns for part in given.split(",")):
        chosen = tuple(part.strip() for part in given.split(","))
        carried = tuple(f"{CARRIED}{name}" for name in chosen)
        pairs = zip(chosen, carried, strict=True)
        return frame.with_columns(pl.col(a).alias(b) for a, b in pairs), carried, chosen
    answers = _read_answers(given, columns)
    rows = collect(frame.select(pl.len())).item()
    if answers.height != rows:
        raise BadData(
            f"There must be one prediction a row. Got {answers.height:,} predictions for {rows:,} reference rows.",
            "Give `predictions` for the same rows in the same order, without a filter.",
        )
    carried = tuple(f"{CARRIED}{name}" for name in answers.columns)
    renamed = answers.rename(dict(zip(answers.columns, carried, strict=True)))
    return pl.concat([frame, renamed.lazy()], how="horizontal"), carried, ()


def _read_answers(given: Any, columns: list[str]) -> pl.DataFrame:
    if isinstance(given, pl.Series):
        return given.to_frame("prediction")
    if isinstance(given, np.ndarray):
        flat = given.reshape(len(given), -1)
        return pl.DataFrame({f"p{i}" if flat.shape[1] > 1 else "prediction": flat[:, i] for i in range(flat.shape[1])})
    if isinstance(given, (list, tuple)) and given and not isinstance(given[0], dict):
        return pl.DataFrame({"prediction": list(given)})
    if hasattr(given, "to_frame") and getattr(given, "ndim", 0) == 1:
        given = given.to_frame("prediction")
    if isinstance(given, str) and not Path(given).exists():
        raise NotFound(
            f"`predictions` names neither a column of the reference rows nor a file. Got {given!r}.",
            f"The columns are: {', '.join(columns[:20])}.",
        )
    frame = collect(scan(given))
    probabilities = [c for c in frame.columns if c.startswith("p_")]
    if probabilities:  # as 'evermodel predict' writes them
        return frame.select(probabilities)
    answers = [c for c in frame.columns if c.lower() not in NOT_ANSWERS]
    if not answers:
        raise BadData("The file of predictions has no column of answers.", "Call the column 'prediction'.")
    return frame.select("prediction") if "prediction" in answers else frame.select(answers)


def take_predictions(
    table: Table, carried: tuple[str, ...], contract: Contract
) -> tuple[Table, DeployedPredictions | None]:
    """The table without the columns in which the answers travelled, and the answers. Raises BadData."""
    if not carried:
        return table, None
    answers = table.frame.select(carried)
    frame = table.frame.drop(carried)
    rest = dataclasses.replace(table, frame=frame, digest=digest_frame(frame))
    names = [name.removeprefix(CARRIED) for name in carried]
    return rest, _interpret(answers, names, contract)


def _interpret(answers: pl.DataFrame, names: list[str], contract: Contract) -> DeployedPredictions:
    if contract.task == "regression":
        if len(names) != 1:
            raise BadData(f"A regression has one answer a row. Got {len(names)} columns: {', '.join(names[:9])}.")
        values = _numbers(answers, 0, names[0])
        return DeployedPredictions(values=values, rounding=_find_rounding(values))
    if len(names) == 1:
        column = answers.to_series()
        codes = answers.select(class_code(pl.col(answers.columns[0]), column.dtype, contract.classes)).to_series()
        if codes.null_count() == 0:
            return DeployedPredictions(labels=codes.to_numpy().astype(np.int64))
        p = _numbers(answers, 0, names[0])
        if len(contract.classes) != 2 or (p < 0).any() or (p > 1).any():
            known = ", ".join(map(class_text, contract.classes[:9]))
            raise BadData(
                f"The predictions in {names[0]!r} are neither labels ({known}) nor probabilities.",
                "Give labels, the probability of the second class, or a column of probabilities for each class.",
            )
        own = next(
            (i for i, c in enumerate(contract.classes) if names[0] in (class_text(c), f"p_{class_text(c)}")), None
        )
        pair = np.stack([p, 1 - p] if own == 0 else [1 - p, p], axis=1)
        return DeployedPredictions(probabilities=pair, named=own is not None, rounding=_find_rounding(p))
    p = np.stack([_numbers(answers, i, name) for i, name in enumerate(names)], axis=1)
    if p.shape[1] != len(contract.classes):
        raise BadData(f"There are {p.shape[1]} columns of probabilities for {len(contract.classes)} classes.")
    texts = [class_text(c) for c in contract.classes]
    places = [next((i for i, n in enumerate(names) if n in (t, f"p_{t}")), None) for t in texts]
    named = None not in places
    ordered = p[:, [i for i in places if i is not None]] if named else p
    return DeployedPredictions(probabilities=ordered, named=named, rounding=_find_rounding(p))


def _numbers(answers: pl.DataFrame, place: int, name: str) -> Array:
    column = answers.columns[place]
    found = answers.select(number(pl.col(column), answers.schema[column])).to_series()
    if found.null_count() or not found.is_finite().all():
        raise BadData(f"A prediction in {name!r} is missing or no number.", "Give one for every reference row.")
    return found.to_numpy().astype(np.float64)


def _find_rounding(values: Array) -> float:
    """Half a unit of the last decimal place in which the numbers are written."""
    for places in range(9):
        if np.allclose(values, np.round(values, places), rtol=0, atol=1e-9 * max(1.0, float(np.abs(values).max()))):
            return 0.5 * 10.0**-places
    return 0.0


def measure_parity(answers: Array, deployed: DeployedPredictions, order: ClassOrder | None = None) -> Parity:
    """How near the answers of a reading, in the order of the class codes, are to the deployed model's own.

    ``order``: which output stands for which code, where that was found: probabilities without names are the outputs'.
    """
    if deployed.labels is not None:
        different = answers.argmax(axis=1) != deployed.labels
        share = float(different.mean())
        return Parity(len(different), float(different.max(initial=False)), share, int(different.sum()))
    given = deployed.values if deployed.values is not None else deployed.probabilities
    assert given is not None  # noqa: S101 (one of the three is always set)
    if given.ndim > 1 and order is not None and not deployed.named:
        given = given[:, list(order.columns)]
    distance = np.abs(answers - given)
    distance = distance if distance.ndim == 1 else distance.max(axis=1)
    labels = int((answers.argmax(axis=1) != given.argmax(axis=1)).sum()) if given.ndim > 1 else 0
    return Parity(len(distance), float(distance.max()), float(distance.mean()), labels)


def is_same(parity: Parity, deployed: DeployedPredictions) -> bool:
    """Whether answers so near are the deployed model's own, but for rounding."""
    if deployed.labels is not None:
        return parity.different_labels <= 0.002 * parity.rows
    scale = 1.0 if deployed.values is None else max(1.0, float(np.abs(deployed.values).max()))
    return parity.largest <= max(TOLERANCE * scale, 1.01 * deployed.rounding + EXACT)


def uses_estimates(model: Model, frame: pl.DataFrame) -> bool:
    """Whether numbers with which the model is fed were learnt from the rows: of a scaler, or for missing values."""
    if model.transform.scaling not in NOT_LEARNT:
        return True
    filled = [f.column for f in model.transform.features if f.fill is not None and f.encoding == "value"]
    known = [name for name in filled if name in frame.columns]
    return model.transform.scaling != "given" and any(frame[name].null_count() for name in known)


def is_near(parity: Parity, deployed: DeployedPredictions, *, estimated: bool) -> bool:
    """Whether answers that are not the same can still be of the same reading.

    ``estimated``: numbers of the reading, such as those of a scaler, were learnt from the reference rows. Without them
    only a service that computes in fewer digits explains a difference, and that is small.
    """
    if deployed.labels is not None:
        return parity.different_labels <= (0.01 if estimated else 0.002) * parity.rows
    spread = 1.0 if deployed.values is None else float(np.std(deployed.values)) or 1.0
    if estimated:
        return parity.mean <= 0.01 * spread
    return parity.mean <= FEWER_DIGITS * spread and parity.largest <= 10 * FEWER_DIGITS * spread
