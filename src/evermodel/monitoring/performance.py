"""Measures a version on the labelled rows of a window, in all and by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.contract import Contract
from evermodel.core.data.target_column import class_text
from evermodel.core.records.monitoring import MetricValue, Window
from evermodel.core.stats.accuracy_estimate import Sums, estimate_from_predictors, sum_confidences
from evermodel.core.stats.metric import METRICS, PerGroup
from evermodel.core.stats.metric_intervals import measure_mean, measure_metric_of_windows, measure_sampled
from evermodel.judging.task_metrics import list_metrics, list_ranking_metrics
from evermodel.monitoring.monitor_state import WindowCounts
from evermodel.monitoring.other_answers import list_others, select_answer
from evermodel.monitoring.watched_rows import CODE, ERROR_GROUP, EXACT, GROUP, SAMPLED, SECOND, Y, keep_known

SMALLEST_SLICE = 30  # labelled rows
MOST_SLICES = 40
OF_ANSWERS = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")  # need no probabilities
FEWEST_GROUPS = 10
MOST_CONFUSED = 20  # classes up to which the confusion matrix is kept


@dataclass(frozen=True)
class WindowRows:
    """A window, and its stored rows with their predictions."""

    window: WindowCounts
    rows: pl.DataFrame
    mature: bool  # the labels had the usual time to arrive


def measure_windows(windows: Sequence[WindowRows], contract: Contract, version: str) -> list[tuple[Window, ...]]:
    """For each window one measurement of all its rows, and one for each slice; all windows are measured at once."""
    parts = [(i, name, part) for i, w in enumerate(windows) for name, part in _split_slices(w.rows)]
    totals = [windows[i].window.rows if not name else part.height for i, name, part in parts]
    metrics = measure_metrics([(part, n) for (_, _, part), n in zip(parts, totals, strict=True)], contract)
    found: list[tuple[Window, ...]] = [() for _ in windows]
    for (i, name, part), n, (values, labelled) in zip(parts, totals, metrics, strict=True):
        of = windows[i]
        measured = Window(
            of.window.start,
            of.window.end,
            n,
            labelled,
            version,
            name,
            of.mature,
            values,
            predictions=count_predictions(part, contract),
            confusion=count_confusion(part, contract),
            answers=measure_answers(part, contract, n) if contract.outputs and not name else {},
        )
        found[i] = (*found[i], measured)
    return found


def measure_answers(rows: pl.DataFrame, contract: Contract, total: int) -> dict[str, dict[str, MetricValue]]:
    """Target column -> the metrics of each answer that is not the judged one, where its labels are there."""
    found = {}
    for output in list_others(contract):
        alone = select_answer(rows, contract, output)
        measured = {} if alone is None else measure_metrics([(alone[0], total)], alone[1])[0][0]
        if measured:
            found[output.target] = measured
    return found


@dataclass(frozen=True)
class _Labelled:
    """Labelled rows as the metrics take them."""

    y: Array
    p: Array
    metrics: tuple[str, ...]  # that these rows have
    sampled_with: Array | None  # probability with which each was sampled for labelling; None where none was
    group: pl.Series | None


def measure_metrics(
    parts: Sequence[tuple[pl.DataFrame, int]], contract: Contract
) -> list[tuple[dict[str, MetricValue], int]]:
    """Of each part: metric -> its value on the labelled rows, and how many those are; undefined metrics are absent.

    A part is rows, and how many rows they stand for: labels of sampled rows are weighted, so that the values hold for
    all of them.
    """
    if contract.task == "text":
        return [measure_texts(rows) for rows, _ in parts]
    names = list_metrics(contract.task)
    read = [_read_labelled(rows, contract, names) for rows, _ in parts]
    values: list[dict[str, MetricValue]] = [{} for _ in parts]
    for metric in names:
        having = {i: r for i, r in enumerate(read) if r is not None and r.sampled_with is None and metric in r.metrics}
        measured = measure_metric_of_windows(metric, [(r.y, r.p) for r in having.values()])
        for i, value in zip(having, measured, strict=True):
            values[i][metric] = value
    for i, (r, (_, total)) in enumerate(zip(read, parts, strict=True)):
        if r is not None and r.sampled_with is not None:
            values[i] = {m: measure_sampled(m, r.y, r.p, r.sampled_with, total) for m in r.metrics}
        elif r is not None and r.group is not None and contract.task != "multiclass":
            values[i] |= measure_ranking(r.group, r.y.astype(np.float64), r.p if r.p.ndim == 1 else r.p[:, 1])
    return [
        ({m: v for m, v in of.items() if np.isfinite(v.value)}, 0 if r is None else len(r.y))
        for of, r in zip(values, read, strict=True)
    ]


def measure_texts(rows: pl.DataFrame) -> tuple[dict[str, MetricValue], int]:
    """The F1 of words and the exact matches of the written answers that have a label, and how many those are."""
    known = keep_known(rows, Y, CODE)
    if not known.height:
        return {}, 0
    of = {"token_f1": known[CODE], "exact_match": known[EXACT]}
    return {metric: measure_mean(values.to_numpy()) for metric, values in of.items()}, known.height


def _read_labelled(rows: pl.DataFrame, contract: Contract, names: tuple[str, ...]) -> _Labelled | None:
    labelled = keep_known(rows, Y, CODE)
    if not labelled.height:
        return None
    y = labelled[Y].to_numpy()
    p, complete = read_predictions(labelled, contract)
    if contract.classes:
        y = y.astype(np.int64)
        names = tuple(m for m in names if complete or m in OF_ANSWERS)
    sampled_with = labelled[SAMPLED].to_numpy() if SAMPLED in labelled.columns and labelled[SAMPLED].count() else None
    return _Labelled(y, p, names, sampled_with, labelled[GROUP] if GROUP in labelled.columns else None)


def measure_ranking(group: pl.Series, y: Array, score: Array) -> dict[str, MetricValue]:
    """Ranking metrics within groups of rows; absent where fewer than ``FEWEST_GROUPS`` have a value."""
    usable = group.is_not_null().to_numpy()
    if not usable.any() or y[usable].min() < 0 or y[usable].min() == y[usable].max():
        return {}  # without rows that are less relevant than others nothing is ranked
    codes = group.filter(usable).rank("dense").to_numpy()
    values = {}
    for name in list_ranking_metrics():
        if name == "hit_rate" and y[usable].min() > 0:
            continue
        metric = METRICS.load_module(name)
        if not isinstance(metric, PerGroup):
            continue
        each = metric.each_group(y[usable], score[usable], codes)
        if len(each) >= FEWEST_GROUPS:
            values[name] = measure_mean(each)
    return values


def count_confusion(rows: pl.DataFrame, contract: Contract) -> dict[str, dict[str, int]]:
    """True class -> predicted class -> labelled rows; empty without classes and beyond ``MOST_CONFUSED`` classes."""
    k = len(contract.classes)
    labelled = keep_known(rows, Y, CODE)
    if not k or k > MOST_CONFUSED or not labelled.height:
        return {}
    names = [class_text(c) for c in contract.classes]
    pairs = labelled[Y].to_numpy().astype(np.int64) * k + labelled[CODE].to_numpy().astype(np.int64)
    counts = np.bincount(pairs, minlength=k * k).reshape(k, k)
    return {names[i]: {names[j]: int(counts[i, j]) for j in range(k)} for i in range(k)}


def sum_window_confidences(rows: pl.DataFrame, contract: Contract) -> tuple[Sums, Sums] | None:
    """Sums over all rows and over the labelled ones; None where predictions came without probabilities."""
    answered = keep_known(rows, CODE)
    if not contract.classes or not answered.height:
        return None
    p, whole = read_predictions(answered, contract)
    if not whole:
        return None
    code = answered[CODE].to_numpy()
    confidence = p[np.arange(len(p)), code.astype(np.int64)]
    labelled = ~np.isnan(answered[Y].to_numpy())  # a missing label is NaN, which equals nothing
    if SAMPLED in answered.columns and answered[SAMPLED].count():
        labelled = labelled & answered[SAMPLED].is_null().to_numpy()
    right = (code == answered[Y].to_numpy()).astype(np.float64)
    return sum_confidences(right, confidence), sum_confidences(right[labelled], confidence[labelled])


def estimate_accuracy(rows: pl.DataFrame, contract: Contract) -> MetricValue | None:
    """Accuracy of all rows from the labels of some, the model's confidence and, where there is one, a second model's.

    None where labels are too few, complete, or sampled; sampled ones are weighted instead.
    """
    answered = keep_known(rows, CODE)
    if not contract.classes or not answered.height or (SAMPLED in rows.columns and rows[SAMPLED].count()):
        return None
    p, whole = read_predictions(answered, contract)
    if not whole:
        return None
    code, labelled = answered[CODE].to_numpy(), ~np.isnan(answered[Y].to_numpy())
    predictors = p[np.arange(len(p)), code.astype(np.int64)][:, None]
    if SECOND in answered.columns and not answered[SECOND].null_count():
        predictors = np.column_stack([predictors, answered[SECOND].to_numpy().astype(np.float64)])
    right = (code == answered[Y].to_numpy()).astype(np.float64)
    return None if labelled.all() else estimate_from_predictors(right[labelled], predictors[labelled], predictors)


def sum_errors_by_group(rows: pl.DataFrame) -> tuple[tuple[float, ...], ...]:
    """Of a regression's labelled rows: the error groups that occur, the rows of each, their summed absolute errors."""
    if ERROR_GROUP not in rows.columns or (SAMPLED in rows.columns and rows[SAMPLED].count()):
        return ()
    labelled = rows.filter(pl.col(Y).is_not_null() & pl.col(ERROR_GROUP).is_not_null() & pl.col(CODE).is_not_null())
    by = (
        labelled.group_by(ERROR_GROUP)
        .agg(pl.len(), (pl.col(CODE) - pl.col(Y)).abs().sum().alias("e"))
        .sort(ERROR_GROUP)
    )
    return tuple(tuple(float(v) for v in by[c]) for c in (ERROR_GROUP, "len", "e"))


def read_predictions(rows: pl.DataFrame, contract: Contract) -> tuple[Array, bool]:
    """(n,) values or (n, k) probabilities, and True; without probabilities, predicted classes as 0 and 1, and False."""
    code = rows[CODE].to_numpy()
    if not contract.classes:
        return code, True
    k = len(contract.classes)
    shares = [f"p{i}" for i in range(k)]
    if all(s in rows.columns for s in shares):
        p = np.column_stack([rows[s].to_numpy() for s in shares]).astype(np.float64)
        if np.isfinite(p).all():
            return p, True
    return np.eye(k)[code.astype(np.int64)], False


def count_predictions(rows: pl.DataFrame, contract: Contract) -> dict[str, int]:
    """class -> how often it was predicted; empty without classes."""
    if not contract.classes:
        return {}
    counts = np.bincount(keep_known(rows, CODE)[CODE].to_numpy().astype(np.int64), minlength=len(contract.classes))
    return {class_text(c): int(n) for c, n in zip(contract.classes, counts, strict=True) if n}


def _split_slices(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "", rows
    for column in [c for c in rows.columns if c.startswith("s:")]:
        counts = rows.filter(pl.col(Y).is_not_null())[column].drop_nulls().value_counts(sort=True)
        for value, n in counts.head(MOST_SLICES).iter_rows():
            if n >= SMALLEST_SLICE:
                yield f"{column[2:]}={value}", rows.filter(pl.col(column) == value)
