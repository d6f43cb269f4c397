"""A version made ready to answer: what every request would find out anew is found out once, when it is loaded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import Damaged, EvermodelError
from evermodel.core.model.model import BATCH, Model
from evermodel.core.model.transform import Feature
from evermodel.core.model.value_transforms import transform_column
from evermodel.registry.golden_predictions import NAMES, TOLERANCE, check_golden
from evermodel.registry.prediction import class_codes
from evermodel.registry.predictions.log_segments import ColumnsFrame
from evermodel.server.checked_rows import CheckedRows, RowChecker

logger = logging.getLogger(__name__)
MOST_WARM_SECONDS = 20.0  # that so many rows may take, one after the other: what takes longer is not compiled by size
WARM_ROWS = (1, 16, 256)  # predicted before the first request: frameworks compile, allocate and cache by size
Answers = list[Any]


@dataclass(frozen=True)
class Predicted:
    """What a version answers: (n, k) probabilities in the order of the classes, (n,) values, or (n,) texts."""

    raw: Array
    labels: Answers  # the predicted classes, the values, or the texts
    codes: Array | None = None  # (n,) places of the predicted classes
    others: Mapping[str, Array] = field(default_factory=dict)  # target column -> the answers that are not judged


class PreparedModel:
    """A loaded version that answers checked rows. It answers as ``Model.predict``, at less cost a request."""

    def __init__(self, name: str, version: str, model: Model) -> None:
        self.name, self.version, self.model = name, version, model
        self.contract = model.contract
        self.checker = RowChecker(model.contract)
        self.classes = tuple(model.contract.classes)
        self.needed: frozenset[str] = frozenset()  # columns without which the model has no answer
        self.seconds_per_call, self.seconds_per_row = 0.0, 0.0
        self.logged_columns: dict[tuple[str, ...], ColumnsFrame] = {}  # by the keys of a request
        self.lock = threading.Lock()  # frameworks differ in what they allow several threads
        self._matrix = _plan_matrix(model, self.checker)
        self._order = _plan_order(model)

    def predict(self, rows: CheckedRows) -> Predicted:
        """The answers to rows that were checked; the caller holds the lock."""
        parts = [self._predict(_cut(rows, at)) for at in range(0, max(len(rows), 1), BATCH)]
        p = parts[0] if len(parts) == 1 else np.concatenate(parts)
        others: Mapping[str, Array] = {}
        if self.contract.outputs:
            others = self.model.predict_others(self.checker.build_frame(rows))
        if not self.classes:
            return Predicted(p, p.tolist(), others=others)
        classes, codes = self.classes, class_codes(self.model, p)
        return Predicted(p, [classes[code] for code in codes.tolist()], codes, others)

    def _predict(self, rows: CheckedRows) -> Array:
        if self._matrix is None:
            return self.model.predict(self.checker.build_frame(rows))
        raw = self.model.framework.predict(self.model.obj, self._matrix.build(rows))
        if self.contract.task == "regression":
            return self.model.output(raw)
        p = self.model.output(self._align(np.asarray(raw)))
        missing = len(self.classes) - p.shape[1]
        return np.hstack([p, np.zeros((len(p), missing))]) if missing > 0 else p

    def _align(self, raw: Array) -> Array:
        raw = raw.reshape(len(raw), -1)
        if self._order is None or raw.shape[1] == 1:
            return raw
        full = np.zeros((len(raw), len(self.classes)))
        full[:, self._order] = raw
        return full

    def warm(self, golden: pl.DataFrame) -> None:
        """Predicts golden rows in several sizes, measures what a call and a row cost, and which columns are needed."""
        rows = self.checker.check_cleaned(golden)
        took: dict[int, float] = {}  # by the number of rows
        for size in WARM_ROWS if self.contract.task != "text" else WARM_ROWS[:1]:
            if took and min(took.values()) * size > MOST_WARM_SECONDS:  # a language model: minutes
                break
            some = _repeat(rows, size)
            took[size] = float("inf")
            for _ in range(3):
                began = time.perf_counter()
                self.predict(some)
                took[size] = min(took[size], time.perf_counter() - began)
        least, most = min(took), max(took)
        self.seconds_per_row = max(0.0, (took[most] - took[least]) / (most - least)) if most > least else took[least]
        self.seconds_per_call = took[least]
        self.needed = frozenset() if self.contract.task == "text" else _find_needed(self, _repeat(rows, 1))

    def estimate_seconds(self, rows: int) -> float:
        """How long predicting so many rows takes, as measured when the version was loaded."""
        return self.seconds_per_call + self.seconds_per_row * rows


def prepare_model(name: str, version: str, model: Model, folder: Path) -> PreparedModel:
    """A version ready to answer, its golden answers given again by the model and by its prepared form.

    Raises Damaged where one of them answers otherwise than when the version was put.
    """
    prepared = PreparedModel(name, version, model)
    golden = check_golden(folder, model)
    if golden is None:  # put before golden rows were kept, or without rows
        prepared.warm(_stand_in(prepared.checker))
        return prepared
    frame, difference = pl.read_parquet(folder / NAMES[0]), golden.difference
    if model.contract.task != "text":  # what writes is asked as it is, and has no prepared form
        expected = np.asarray(model.predict(frame), dtype=float)
        found = np.asarray(prepared.predict(prepared.checker.check_cleaned(frame)).raw, dtype=float)
        scale = max(1.0, float(np.abs(expected).max()))
        difference = max(difference, float(np.abs(found - expected).max()) / scale)
    if not difference <= TOLERANCE:
        raise Damaged(
            f"{name} {version} does not answer its golden rows as it did: by up to {difference:.2g} of the largest "
            f"answer (bound {TOLERANCE:g}).",
            "'evermodel doctor' says what helps.",
        )
    prepared.warm(frame)
    return prepared


class _MatrixPlan:
    """A ``Transform`` of layout "matrix" for all columns at once: the same arithmetic, without a frame."""

    def __init__(self, model: Model, checker: RowChecker) -> None:
        places = {column.name: at for at, column in enumerate(checker.numeric)}
        transform = model.transform
        self.width, self.dtype = transform.width, np.dtype(transform.dtype)
        values: list[tuple[int, int, float, float, float]] = []  # place in x, in numbers, fill, center, scale
        self.coded: list[tuple[int, dict[str, int], Feature]] = []
        at = 0
        self.functions: list[tuple[int, Feature]] = []  # place among the values
        for feature in transform.features:
            if feature.encoding == "value":
                if feature.function != "none":
                    self.functions.append((len(values), feature))
                fill = np.nan if feature.fill is None else feature.fill
                values.append((at, places[feature.column], fill, feature.center, feature.scale))
            else:
                codes = {category: code for code, category in enumerate(feature.categories)}
                self.coded.append((at, codes, feature))
            at += feature.width
        self.to = np.array([v[0] for v in values], dtype=np.intp)
        self.source = np.array([v[1] for v in values], dtype=np.intp)
        self.fill, self.center, self.scale = (np.array([v[i] for v in values]) for i in (2, 3, 4))
        self.fills = bool(np.isfinite(self.fill).any())
        self.scaled = bool((self.center != 0.0).any() or (self.scale != 1.0).any())
        count = len(checker.numeric)
        same = np.array_equal(self.to, np.arange(count)) and np.array_equal(self.source, np.arange(count))
        self.direct = not self.coded and same

    def build(self, rows: CheckedRows) -> Array:
        """(n, d) as the model object takes it."""
        values = rows.numbers if self.direct else rows.numbers[:, self.source]
        if self.fills:
            missing = ~np.isfinite(values)
            if missing.any():
                values = np.where(missing, self.fill, values)
        if self.functions:
            values = values.copy()
            for at, feature in self.functions:
                values[:, at] = transform_column(feature.function, values[:, at], feature.column)
        if self.scaled:
            values = (values - self.center) / self.scale
        if self.direct:
            return values.astype(self.dtype)
        x = np.empty((len(rows), self.width), dtype=self.dtype)
        x[:, self.to] = values
        for at, codes, feature in self.coded:
            place = slice(at, at + feature.width)
            x[:, place] = _encode_texts(feature, _find_codes(feature, codes, rows.texts[feature.column]))
        return x


def _find_codes(feature: Feature, codes: dict[str, int], texts: Sequence[str | None]) -> list[int]:
    """The place of each text among the categories; -1 for an unknown one."""
    missing = int(feature.fill or 0) if feature.fills_category else -1
    return [missing if text is None else codes.get(text, -1) for text in texts]


def _encode_texts(feature: Feature, codes: list[int]) -> Array:
    """(n, width) of one column of categories, as ``Transform`` encodes and scales it."""
    if feature.encoding == "code":
        fill = -1.0 if feature.fills_category else np.nan if feature.fill is None else feature.fill
        x = np.array([fill if code < 0 else code for code in codes], dtype=np.float64)[:, None]
    else:
        x = np.zeros((len(codes), feature.width))
        first = 1 if feature.encoding == "onehot_drop_first" else 0
        for row, code in enumerate(codes):
            if code >= first:
                x[row, code - first] = 1.0
    return x if feature.center == 0.0 and feature.scale == 1.0 else (x - feature.center) / feature.scale


def _plan_matrix(model: Model, checker: RowChecker) -> _MatrixPlan | None:
    """None where the model takes a frame or pictures, or codes a column of numbers: then a frame is built."""
    if model.transform.layout != "matrix" or model.contract.outputs:
        return None
    numeric, textual = {c.name for c in checker.numeric}, {c.name for c in checker.textual}
    for feature in model.transform.features:
        if feature.encoding == "value" and feature.column not in numeric:
            return None
        if feature.encoding != "value" and (feature.column not in textual or feature.encoding in ("image", "text")):
            return None
    return _MatrixPlan(model, checker)


def _plan_order(model: Model) -> list[int] | None:
    """Where the object's outputs go among the contract's classes; None where they stand there already."""
    own, classes = model.signature.classes, model.contract.classes
    if own is None or tuple(own) == classes or not set(own) <= set(classes):
        return None
    return [classes.index(label) for label in own]


def _cut(rows: CheckedRows, at: int) -> CheckedRows:
    if len(rows) <= BATCH:
        return rows
    texts = {name: values[at : at + BATCH] for name, values in rows.texts.items()}
    return CheckedRows(rows.numbers[at : at + BATCH], texts, None, (), len(rows))


def _repeat(rows: CheckedRows, size: int) -> CheckedRows:
    """The first rows, again and again, until there are ``size``."""
    at = np.arange(size) % len(rows)
    texts = {name: [values[i] for i in at.tolist()] for name, values in rows.texts.items()}
    return CheckedRows(rows.numbers[at], texts, None, (), size)


def _stand_in(checker: RowChecker) -> pl.DataFrame:
    """One row of typical values, for a version without golden rows."""
    found = {}
    for column in checker.contract.columns:
        if column in checker.numeric:
            typical = column.median if column.median is not None else 0.0
            found[column.name] = pl.Series([float(typical)])
        else:
            value = column.categories[0] if column.categories else None
            found[column.name] = pl.Series([value], dtype=pl.Binary if column.kind == "image" else pl.String)
    return pl.DataFrame(found)


def _find_needed(prepared: PreparedModel, row: CheckedRows) -> frozenset[str]:
    """The columns without whose value the model raises, or answers with no number. Asked once, of one row."""
    columns = prepared.contract.names
    if _answers(prepared, _without(prepared, row, columns)):
        return frozenset()
    return frozenset(name for name in columns if not _answers(prepared, _without(prepared, row, [name])))


def _without(prepared: PreparedModel, row: CheckedRows, names: list[str]) -> CheckedRows:
    numbers = row.numbers.copy()
    for at, column in enumerate(prepared.checker.numeric):
        if column.name in names:
            numbers[:, at] = np.nan
    texts = {name: [None] if name in names else values for name, values in row.texts.items()}
    return CheckedRows(numbers, texts, None, (), 1)


def _answers(prepared: PreparedModel, row: CheckedRows) -> bool:
    try:
        return bool(np.isfinite(prepared.predict(row).raw).all())
    except EvermodelError:
        return False
    except Exception:  # a framework may say in any way that a value is missing
        logger.debug("%s %s has no answer to a row without a value.", prepared.name, prepared.version, exc_info=True)
        return False
