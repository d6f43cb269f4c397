"""How good a version is on the labelled rows of a look, in all and by slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from evermodel.core import plugs
from evermodel.core.contract import Contract
from evermodel.core.intervals import mean_measured, measure, measure_asked
from evermodel.core.label_free import Sums, from_predictors, sums_of
from evermodel.core.monitoring import Measured, Window
from evermodel.core.table import Array
from evermodel.core.target import class_text
from evermodel.loop.scoring import metrics_for, ranking_metrics
from evermodel.loop.watch_rows import ASKED, CODE, GROUP, KIND, SECOND, Y

SMALLEST_SLICE = 30  # labelled rows
MOST_SLICES = 40
OF_ANSWERS = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")  # need no probabilities
FEWEST_GROUPS = 10
MOST_CONFUSED = 20  # classes up to which it is told which is taken for which
SLOW_ABOVE = 100  # classes from which only metrics of answers are measured by look


def windows_of(
    rows: pl.DataFrame, contract: Contract, version: str, start: str, end: str, total: int, mature: bool
) -> tuple[Window, ...]:
    """One window of all rows of a look, and one a slice. ``rows`` are those with a label and a prediction."""
    found = []
    for name, part in _parts(rows):
        said = predicted_counts(part, contract)
        n = total if not name else part.height
        metrics = measured(part, contract, n)
        found.append(Window(start, end, n, metrics[1], version, name, mature, metrics[0], predictions=said,
                            confusion=confused(part, contract)))  # fmt: skip
    return tuple(found)


def measured(rows: pl.DataFrame, contract: Contract, total: int) -> tuple[dict[str, Measured], int]:
    """metric -> what it is on the labelled rows, and how many those are; what is not known is absent.

    Labels that were asked for are weighted back: then it speaks for all ``total`` rows.
    """
    known = rows.filter(pl.col(Y).is_not_null() & pl.col(CODE).is_not_null())
    if not known.height:
        return {}, 0
    y = known[Y].to_numpy()
    p, whole = predictions(known, contract)
    names = metrics_for(contract.task)
    if contract.task != "regression":
        y = y.astype(np.int64)
        names = tuple(m for m in names if whole or m in OF_ANSWERS)
    asked = known[ASKED].to_numpy() if ASKED in known.columns and known[ASKED].count() else None
    found = {m: measure(m, y, p) if asked is None else measure_asked(m, y, p, asked, total) for m in names}
    if asked is None and GROUP in known.columns and contract.task != "multiclass":
        found |= ranked(known[GROUP], y.astype(np.float64), p if p.ndim == 1 else p[:, 1])
    return {m: v for m, v in found.items() if np.isfinite(v.value)}, known.height


def ranked(group: pl.Series, y: Array, score: Array) -> dict[str, Measured]:
    """Ranking metrics of rows within their groups; absent where fewer than ``FEWEST_GROUPS`` say something."""
    usable = group.is_not_null().to_numpy()
    if not usable.any() or y[usable].min() < 0 or y[usable].min() == y[usable].max():
        return {}  # without rows that are less relevant than others nothing is ranked
    codes = group.filter(usable).rank("dense").to_numpy()
    found = {}
    for name in ranking_metrics():
        if name == "hit_rate" and y[usable].min() > 0:
            continue
        each = plugs.module("metrics", name).each_group(y[usable], score[usable], codes)
        if len(each) >= FEWEST_GROUPS:
            found[name] = mean_measured(each)
    return found


def confused(rows: pl.DataFrame, contract: Contract) -> dict[str, dict[str, int]]:
    """class in truth -> class answered -> labelled rows; empty for a regression and for more than ``MOST_CONFUSED``."""
    k = len(contract.classes)
    known = rows.filter(pl.col(Y).is_not_null() & pl.col(CODE).is_not_null())
    if contract.task == "regression" or k > MOST_CONFUSED or not known.height:
        return {}
    names = [class_text(c) for c in contract.classes]
    pairs = known[Y].to_numpy().astype(np.int64) * k + known[CODE].to_numpy().astype(np.int64)
    counts = np.bincount(pairs, minlength=k * k).reshape(k, k)
    return {names[i]: {names[j]: int(counts[i, j]) for j in range(k)} for i in range(k)}


def confidence_sums(rows: pl.DataFrame, contract: Contract) -> tuple[Sums, Sums] | None:
    """Sums over all rows and over the labelled ones; None where answers came without probabilities."""
    answered = rows.filter(pl.col(CODE).is_not_null())
    if contract.task == "regression" or not answered.height:
        return None
    p, whole = predictions(answered, contract)
    if not whole:
        return None
    code = answered[CODE].to_numpy()
    sure = p[np.arange(len(p)), code.astype(np.int64)]
    drawn = answered[ASKED].is_not_null() if ASKED in answered.columns else pl.Series([False] * answered.height)
    known = (answered[Y].is_not_null() & ~drawn).to_numpy()
    right = (code == answered[Y].fill_null(-1.0).to_numpy()).astype(np.float64)
    return sums_of(right, sure), sums_of(right[known], sure[known])


def powered(rows: pl.DataFrame, contract: Contract) -> Measured | None:
    """Accuracy of all rows by the labels of some, the model's confidence and, where there is one, a second model's.

    None where labels are too few, or all there, or were asked for: those are weighted back instead.
    """
    answered = rows.filter(pl.col(CODE).is_not_null())
    if contract.task == "regression" or not answered.height or (ASKED in rows.columns and rows[ASKED].count()):
        return None
    p, whole = predictions(answered, contract)
    if not whole:
        return None
    code, known = answered[CODE].to_numpy(), answered[Y].is_not_null().to_numpy()
    told = p[np.arange(len(p)), code.astype(np.int64)][:, None]
    if SECOND in answered.columns and not answered[SECOND].null_count():
        told = np.column_stack([told, answered[SECOND].to_numpy().astype(np.float64)])
    right = (code == answered[Y].fill_null(-1.0).to_numpy()).astype(np.float64)
    return None if known.all() else from_predictors(right[known], told[known], told)


def errors_by_kind(rows: pl.DataFrame) -> tuple[tuple[float, ...], ...]:
    """Of a regression's labelled rows: the kinds that occur, how many of each, their absolute errors added up."""
    if KIND not in rows.columns or (ASKED in rows.columns and rows[ASKED].count()):
        return ()
    known = rows.filter(pl.col(Y).is_not_null() & pl.col(KIND).is_not_null() & pl.col(CODE).is_not_null())
    by = known.group_by(KIND).agg(pl.len(), (pl.col(CODE) - pl.col(Y)).abs().sum().alias("e")).sort(KIND)
    return tuple(tuple(float(v) for v in by[c]) for c in (KIND, "len", "e"))


def predictions(rows: pl.DataFrame, contract: Contract) -> tuple[Array, bool]:
    """(n,) values or (n, k) probabilities, and whether they are that; else the answers as ones and zeros."""
    code = rows[CODE].to_numpy()
    if contract.task == "regression":
        return code, True
    k = len(contract.classes)
    shares = [f"p{i}" for i in range(k)]
    if all(s in rows.columns for s in shares):
        p = rows.select(shares).to_numpy().astype(np.float64)
        if np.isfinite(p).all():
            return p, True
    return np.eye(k)[code.astype(np.int64)], False


def predicted_counts(rows: pl.DataFrame, contract: Contract) -> dict[str, int]:
    """class -> how often it was the answer; empty for a regression."""
    if contract.task == "regression":
        return {}
    counts = np.bincount(rows[CODE].drop_nulls().to_numpy().astype(np.int64), minlength=len(contract.classes))
    return {class_text(c): int(n) for c, n in zip(contract.classes, counts, strict=True) if n}


def _parts(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "", rows
    for column in [c for c in rows.columns if c.startswith("s:")]:
        counts = rows.filter(pl.col(Y).is_not_null())[column].drop_nulls().value_counts(sort=True)
        for value, n in counts.head(MOST_SLICES).iter_rows():
            if n >= SMALLEST_SLICE:
                yield f"{column[2:]}={value}", rows.filter(pl.col(column) == value)
