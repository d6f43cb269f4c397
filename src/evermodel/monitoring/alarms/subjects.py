"""What is tested for an alarm: each column, the predictions and the errors, as counts by window against a reference."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.records.monitoring import AlarmKind, TextAspect
from evermodel.core.stats.overdispersion import estimate_overdispersion_around_step
from evermodel.core.stats.reference_bins import ColumnCounts
from evermodel.core.stats.row_cells import JOINT
from evermodel.monitoring.monitor_state import VersionMonitor, WindowCounts
from evermodel.monitoring.reference import PREDICTION
from evermodel.monitoring.texts.text_columns import REPEATS
from evermodel.monitoring.texts.written_answers import ANSWERS, KINDS

BASELINE = 1_000  # rows of the first windows that stand for "as before" where there is no reference
SHARES = {  # of the false-alarm rate; they add up to one
    "accuracy": 0.35,
    "class": 0.10,  # of all classes together
    "loss": 0.05,
    "prediction": 0.05,
    "drift": 0.32,
    "joint": 0.03,
    "missing": 0.04,
    "unseen": 0.03,
    "range": 0.03,
}


def subject_key(kind: AlarmKind, subject: str) -> str:
    """``drift:age``: the key under which a subject's evidence is kept."""
    return f"{kind}:{subject}"


def column_of(key: str) -> str:
    """The column, or the metric, in a subject's key."""
    return key.partition(":")[2]


DRIFT_OF_PREDICTION = subject_key(AlarmKind.DRIFT, PREDICTION)
QUALITY_METRICS = ("accuracy", "loss")
CLASS_BASELINE = 20  # rows of a class in the first windows that stand for "as before"
RECALL = "recall of "  # before the class, in the name of what is tested: how many of its rows are answered so


@dataclass(frozen=True)
class Subject:
    """One thing that is tested: counts by window (T, K) against a reference (K,)."""

    kind: AlarmKind
    subject: str  # the column or the metric
    keys: tuple[str, ...]  # of the windows
    windows: Array
    reference: Array
    share: float  # of the false-alarm rate
    one_sided: bool  # only more of the first count is an alarm

    @property
    def key(self) -> str:
        """``drift:age``: the key of the subject's evidence in the state."""
        return subject_key(self.kind, self.subject)


def count_errors(window: WindowCounts, metric: str) -> tuple[int, int]:
    """Labelled rows of a window that count as errors, wrong answers or large losses, and those that do not.

    For the recall of a class only its own rows count.
    """
    if metric.startswith(RECALL):
        return window.by_class.get(metric.removeprefix(RECALL), (0, 0))
    errors = window.errors if metric == "accuracy" else window.large_losses
    return errors, window.labelled - errors


def list_class_metrics(windows: Sequence[WindowCounts]) -> tuple[str, ...]:
    """The recall of each class that labelled rows were of."""
    return tuple(RECALL + name for name in sorted({name for window in windows for name in window.by_class}))


def list_subjects(watched: VersionMonitor, windows: list[WindowCounts], mature: set[str]) -> Iterator[Subject]:
    """What can be tested now. ``windows`` are oldest first; ``mature`` holds keys of those whose labels have come."""
    columns = [c for c in watched.columns if c not in (PREDICTION, JOINT)]
    rates = _list_rates(watched, windows) if watched.texts or (windows and windows[-1].answers.answers) else []
    n_subjects = len(columns) + len(rates)
    for name in columns:
        keys, counts = _counts_of(windows, name)
        if keys:
            yield from _column_subjects(watched, name, keys, counts, 1.0 / n_subjects)
    for rate in rates:
        yield from _rate_subject(watched, windows, rate, 1.0 / n_subjects)
    keys, counts = _counts_of(windows, JOINT)
    if keys:
        subjects = _column_subjects(watched, JOINT, keys, counts, 1.0)
        drift = next(s for s in subjects if s.kind is AlarmKind.DRIFT)
        yield dataclasses.replace(drift, share=SHARES["joint"])
    yield from _prediction_subject(watched, windows)
    classes = list_class_metrics(windows)
    for metric in QUALITY_METRICS:
        more = SHARES["class"] if metric == "accuracy" and not classes else 0.0  # where no class is tested apart
        yield from _quality_subject(watched, windows, mature, metric, SHARES[metric] + more)
    predictions = watched.columns.get(PREDICTION)
    n_classes = max(2, len(classes), 0 if predictions is None else len(predictions.all_categories))
    for metric in classes:
        yield from _quality_subject(watched, windows, mature, metric, SHARES["class"] / n_classes)


def _counts_of(windows: Sequence[WindowCounts], name: str) -> tuple[tuple[str, ...], list[ColumnCounts]]:
    """Keys and counts of the windows that hold a column."""
    held = [w for w in windows if name in w.columns]
    return tuple(w.key for w in held), [w.columns[name] for w in held]


def _column_subjects(
    watched: VersionMonitor, name: str, keys: tuple[str, ...], counts: list[ColumnCounts], part: float
) -> Iterator[Subject]:
    """Drift, missing values, and values that the reference rows do not hold. Dependent rows count for fewer.

    Unseen categories come first: where both alarm at once, the alarm is named after what says more.
    """
    r = watched.columns[name]
    rows = float(np.median([c.rows for c in counts]))
    effect, missing_effect = r.design_effect(rows), r.design_effect(rows, missing=True)
    bins = r.merge_bins(np.stack([c.bins for c in counts])) / effect
    reference = np.maximum(r.merge_bins(np.asarray(r.concentrations)) / effect, 0.5)
    drift = Subject(AlarmKind.DRIFT, name, keys, bins, reference, SHARES["drift"] * part, one_sided=False)
    missing_rows = np.array([(c.missing, c.rows - c.missing) for c in counts]) / missing_effect
    reference = np.array([r.missing / missing_effect + 0.5, (r.rows + 0.5) / missing_effect])
    share = SHARES["missing"] * part
    missing = Subject(AlarmKind.MISSING, name, keys, missing_rows, reference, share, one_sided=True)
    kind = AlarmKind.RANGE if r.kind == "number" else AlarmKind.UNSEEN
    odd = np.array([c.outside if kind is AlarmKind.RANGE else c.unseen for c in counts])
    odd_rows = np.column_stack([odd, [c.bins.sum() for c in counts] - odd]) / effect
    reference = np.array([_expected_odd_rows(watched, name), (r.rows + 0.5) / effect])
    odd_values = Subject(kind, name, keys, odd_rows, reference, SHARES[kind] * part, one_sided=True)
    yield from (odd_values, drift, missing) if kind is AlarmKind.UNSEEN else (drift, missing, odd_values)


def _expected_odd_rows(watched: VersionMonitor, name: str) -> float:
    """Rows outside the range, or of unseen categories, that would be no surprise: two ends; or the rare categories."""
    reference = watched.columns[name]
    if reference.kind == "number":
        return 2.0
    return max(1.0, len(reference.all_categories) - len(reference.categories) + 0.5)


def _prediction_subject(watched: VersionMonitor, windows: list[WindowCounts]) -> Iterator[Subject]:
    reference, baseline = watched.columns.get(PREDICTION), watched.baselines.get(DRIFT_OF_PREDICTION)
    keys, counts = _counts_of(_after_baseline(windows, watched, DRIFT_OF_PREDICTION), PREDICTION)
    if reference is None or baseline is None or not keys:
        return
    effect = reference.design_effect(float(np.median([c.rows for c in counts])))
    bins = reference.merge_bins(np.stack([c.bins for c in counts])) / effect
    before = np.maximum(np.asarray(baseline) / effect, 0.5)
    yield Subject(AlarmKind.DRIFT, PREDICTION, keys, bins, before, SHARES["prediction"], one_sided=False)


@dataclass(frozen=True)
class _Rate:
    """A share of a window's texts that may not rise above what it was in the first rows watched.

    Texts that repeat others: rows to learn from are often rid of duplicates. Answers that are empty, refuse or run in
    circles: nothing is written for the reference rows, which would take hours.
    """

    name: str
    count: Callable[[WindowCounts], tuple[int, int]]  # of a window: texts for which it holds, and the others

    @property
    def key(self) -> str:
        return subject_key(AlarmKind.DRIFT, self.name)


def _list_rates(watched: VersionMonitor, windows: Sequence[WindowCounts]) -> list[_Rate]:
    rates = [_Rate(f"{column}.{REPEATS}", partial(_count_repeats, column=column)) for column in watched.texts]
    if any(w.answers.answers for w in windows):
        rates += [_Rate(f"{ANSWERS}.{kind}", partial(_count_answers, kind=kind)) for kind in KINDS]
    return rates


def _count_repeats(window: WindowCounts, column: str) -> tuple[int, int]:
    texts = window.texts.get(column)
    return (texts.repeated, texts.texts - texts.repeated) if texts else (0, 0)


def _count_answers(window: WindowCounts, kind: TextAspect) -> tuple[int, int]:
    return window.answers.count(kind)


def _rate_subject(watched: VersionMonitor, windows: list[WindowCounts], rate: _Rate, part: float) -> Iterator[Subject]:
    counted = [(w.key, rate.count(w)) for w in _after_baseline(windows, watched, rate.key)]
    held = [(key, counts) for key, counts in counted if sum(counts)]
    if rate.key not in watched.baselines or not held:
        return
    true = np.array([counts for _, counts in held], dtype=np.float64)
    effect = 1.0 + estimate_overdispersion_around_step(true) * float(np.median(true.sum(axis=1)))
    before = np.maximum(np.asarray(watched.baselines[rate.key]) / effect, 0.5)
    keys = tuple(key for key, _ in held)
    yield Subject(AlarmKind.DRIFT, rate.name, keys, true / effect, before, SHARES["drift"] * part, one_sided=True)


def _quality_subject(
    watched: VersionMonitor, windows: list[WindowCounts], mature: set[str], metric: str, share: float
) -> Iterator[Subject]:
    key = subject_key(AlarmKind.QUALITY, metric)
    ready = [w for w in _after_baseline(windows, watched, key) if sum(count_errors(w, metric)) and w.key in mature]
    if key not in watched.baselines or not ready:
        return
    errors = np.array([count_errors(w, metric) for w in ready])
    dispersion = max(watched.overdispersion.get("quality", 0.0), estimate_overdispersion_around_step(errors))
    effect = 1.0 + dispersion * float(np.median(errors.sum(axis=1)))
    before = np.maximum(np.asarray(watched.baselines[key]) / effect, 0.5)
    keys = tuple(w.key for w in ready)
    yield Subject(AlarmKind.QUALITY, metric, keys, errors / effect, before, share, one_sided=True)


def _after_baseline(windows: list[WindowCounts], watched: VersionMonitor, key: str) -> list[WindowCounts]:
    until = watched.baseline_until.get(key, "")
    return [w for w in windows if w.key > until]


def learn_baselines(
    watched: VersionMonitor, windows: list[WindowCounts], mature: set[str], task: str
) -> VersionMonitor:
    """The first windows with enough rows become the reference of what has none: predictions, errors, losses."""
    baselines, until = dict(watched.baselines), dict(watched.baseline_until)
    ready = [w for w in windows if w.key in mature and w.labelled]
    usual = ("loss",) if task in ("regression", "text") else ("loss", "accuracy")
    for metric in (*usual, *list_class_metrics(ready)):
        key, enough = subject_key(AlarmKind.QUALITY, metric), CLASS_BASELINE if metric not in usual else BASELINE
        if key in baselines or (metric == "loss" and math.isnan(watched.loss_edge)):
            continue
        first = _first_windows(ready, [sum(count_errors(w, metric)) for w in ready], enough)
        if first:
            errors, right = np.array([count_errors(w, metric) for w in first]).sum(axis=0)
            baselines[key], until[key] = (float(errors) + 0.5, float(right) + 0.5), first[-1].key
    reference = watched.columns.get(PREDICTION)
    predicted = [w for w in windows if PREDICTION in w.columns]
    first = _first_windows(predicted, [int(w.columns[PREDICTION].bins.sum()) for w in predicted])
    if reference is not None and DRIFT_OF_PREDICTION not in baselines and first:
        bins = reference.merge_bins(np.stack([w.columns[PREDICTION].bins for w in first])).sum(axis=0)
        baselines[DRIFT_OF_PREDICTION] = tuple((bins + 0.5).tolist())
        until[DRIFT_OF_PREDICTION] = first[-1].key
    for rate in _list_rates(watched, windows) if watched.texts or (windows and windows[-1].answers.answers) else []:
        first = _first_windows(windows, [sum(rate.count(w)) for w in windows])
        if rate.key not in baselines and first:
            true, others = np.sum([rate.count(w) for w in first], axis=0).tolist()
            baselines[rate.key], until[rate.key] = (true + 0.5, others + 0.5), first[-1].key
    return dataclasses.replace(watched, baselines=baselines, baseline_until=until)


def _first_windows(windows: list[WindowCounts], rows: list[int], enough: int = BASELINE) -> list[WindowCounts]:
    """The oldest windows that hold enough rows together; none where all of them do not."""
    reached = np.flatnonzero(np.cumsum(rows) >= enough)
    return windows[: int(reached[0]) + 1] if len(reached) else []
