"""What every metric must promise. ``check_metric(module)`` runs all checks; AssertionError names the broken promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData
from evermodel.core.records.verdict import Comparison
from evermodel.core.stats.metric import Metric, MetricModule
from evermodel.judging.comparison import Resampling, compare_with_metric
from evermodel.judging.grading import DEFAULT_MARGIN
from evermodel.judging.judge_input import PairedPredictions

TASKS = ("binary", "multiclass", "regression", "text", "ranking")
Check = Callable[[MetricModule, PairedPredictions], None]


def check_declarations(plugin: MetricModule, rows: PairedPredictions) -> None:
    """The file declares HIGHER_IS_BETTER, TASKS, LABEL and MARGIN_UNIT, and a function of its own name."""
    for name in ("HIGHER_IS_BETTER", "TASKS", "LABEL", "MARGIN_UNIT"):
        assert hasattr(plugin, name), f"{name} is missing"
    assert isinstance(plugin.HIGHER_IS_BETTER, bool), f"HIGHER_IS_BETTER is {plugin.HIGHER_IS_BETTER!r}"
    assert plugin.TASKS, "TASKS is empty"
    assert set(plugin.TASKS) <= set(TASKS), f"TASKS holds more than {TASKS}: {plugin.TASKS}"
    assert isinstance(plugin.LABEL, str), f"LABEL is {plugin.LABEL!r}"
    assert plugin.LABEL.strip(), "LABEL is empty"
    assert plugin.MARGIN_UNIT in DEFAULT_MARGIN, f"MARGIN_UNIT is none of {list(DEFAULT_MARGIN)}: {plugin.MARGIN_UNIT}"
    name = plugin.__name__.rpartition(".")[2]
    assert callable(getattr(plugin, name, None)), f"there is no function {name}()"


def check_nan_is_never_scored(plugin: MetricModule, rows: PairedPredictions) -> None:
    """A prediction that is NaN raises BadData; without rows the value is NaN, never 0."""
    spoilt = rows.champion.copy()
    spoilt[3] = np.nan
    try:
        value = _score(plugin)(rows.y, spoilt)
    except BadData:
        pass
    else:
        raise AssertionError(f"a NaN prediction was scored {value}")
    nothing = _score(plugin)(rows.y[:0], rows.champion[:0])
    assert math.isnan(nothing), f"no rows were scored {nothing}"


def check_row_order_does_not_matter(plugin: MetricModule, rows: PairedPredictions) -> None:
    """Permuting the rows changes neither the value nor the comparison."""
    at = np.random.default_rng(1).permutation(len(rows))
    moved = PairedPredictions(rows.y[at], rows.champion[at], rows.challenger[at])
    score = _score(plugin)
    before, after = score(rows.y, rows.champion), score(moved.y, moved.champion)
    assert math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-12), f"{before} became {after}"
    a, b = _compare(plugin, rows), _compare(plugin, moved)
    assert _are_close((a.difference, a.low, a.high), (b.difference, b.low, b.high)), f"{a} became {b}"


def check_weight_is_repetition(plugin: MetricModule, rows: PairedPredictions) -> None:
    """A row of weight two counts as a row that occurs twice."""
    times = np.random.default_rng(2).integers(1, 4, len(rows))
    repeated = _score(plugin)(np.repeat(rows.y, times), np.repeat(rows.champion, times, axis=0))
    weighted = _score(plugin)(rows.y, rows.champion, weight=times)
    assert math.isclose(repeated, weighted, rel_tol=1e-9, abs_tol=1e-12), f"{weighted}, repeated {repeated}"


def check_truth_is_best(plugin: MetricModule, rows: PairedPredictions) -> None:
    """Predicting the truth is at least as good as any prediction."""
    best = _score(plugin)(rows.y, _predict_truth(rows))
    given = _score(plugin)(rows.y, rows.champion)
    assert best >= given if plugin.HIGHER_IS_BETTER else best <= given, f"truth {best}, given {given}"


def check_a_model_equals_itself(plugin: MetricModule, rows: PairedPredictions) -> None:
    """Compared with itself a model's difference is 0, inside the interval."""
    c = _compare(plugin, PairedPredictions(rows.y, rows.champion, rows.champion))
    assert c.difference == 0, f"difference {c.difference}"
    assert c.low <= 0 <= c.high, f"interval {c.low} to {c.high}"


def check_swapped_models_mirror(plugin: MetricModule, rows: PairedPredictions) -> None:
    """Swapping the models mirrors the comparison."""
    a, b = _compare(plugin, rows), _compare(plugin, PairedPredictions(rows.y, rows.challenger, rows.champion))
    assert _are_close((a.difference, a.low, a.high), (-b.difference, -b.high, -b.low)), f"{a} mirrored is {b}"


def check_same_seed_same_interval(plugin: MetricModule, rows: PairedPredictions) -> None:
    """The same rows and seed give the same comparison, bit by bit."""
    first, second = _compare(plugin, rows), _compare(plugin, rows)
    assert first == second, f"{first} then {second}"


def check_inputs_are_not_changed(plugin: MetricModule, rows: PairedPredictions) -> None:
    """The arrays given are not written to."""
    before = rows.y.copy(), rows.champion.copy()
    _score(plugin)(rows.y, rows.champion)
    assert (rows.y == before[0]).all(), "the labels were written to"
    assert (rows.champion == before[1]).all(), "the predictions were written to"


def check_groups_are_ranked_apart(plugin: MetricModule, rows: PairedPredictions) -> None:
    """Of rows in groups the value is the mean over the groups that have one, in whatever order the rows come."""
    if "ranking" not in plugin.TASKS:
        return
    group, score = np.arange(len(rows)) % 4, _score(plugin)
    each = [score(rows.y[group == g], rows.champion[group == g], top=3) for g in range(4)]
    whole = score(rows.y, rows.champion, group=group, top=3)
    assert math.isclose(whole, float(np.nanmean(each)), abs_tol=1e-12), f"{whole}, the groups' mean {np.nanmean(each)}"
    at = np.argsort(rows.champion)
    moved = score(rows.y[at], rows.champion[at], group=group[at], top=3)
    assert math.isclose(whole, moved, abs_tol=1e-12), f"{whole} became {moved} in another order of the rows"


CHECKS: tuple[Check, ...] = (
    check_declarations,
    check_nan_is_never_scored,
    check_row_order_does_not_matter,
    check_weight_is_repetition,
    check_truth_is_best,
    check_a_model_equals_itself,
    check_swapped_models_mirror,
    check_same_seed_same_interval,
    check_inputs_are_not_changed,
    check_groups_are_ranked_apart,
)


def check_metric(plugin: MetricModule) -> int:
    """Runs every check on every task of the metric's module; returns how many ran. Raises AssertionError."""
    tasks = tuple(getattr(plugin, "TASKS", TASKS))
    ran = 0
    for task, rows in example_rows():
        for check in CHECKS if task in tasks else ():
            try:
                check(plugin, rows)
            except AssertionError as error:
                text = f"The metric {plugin.__name__} ({task}) breaks: {check.__doc__} Got: {error}"
                raise AssertionError(text) from error
            ran += 1
    assert ran, f"{plugin.__name__} names no task in {TASKS}"
    return ran


def example_rows() -> Iterator[tuple[str, PairedPredictions]]:
    """Sixty rows a task; every class occurs and is predicted; some predictions are tied."""
    rng = np.random.default_rng(0)
    for task, k in (("binary", 2), ("multiclass", 3)):
        y = np.arange(60) % k
        yield task, PairedPredictions(y, _probabilities(rng, y, k), _probabilities(rng, y, k))
    relevant = (np.arange(60) % 5 == 0).astype(np.float64)
    first, second = (np.round(relevant + rng.standard_normal(60), 1) for _ in range(2))
    yield "ranking", PairedPredictions(relevant, first, second)
    numbers = rng.standard_normal(60)
    tokens = rng.integers(1, 9, 60).astype(np.float64)
    yield "text", PairedPredictions(tokens, _written(rng, tokens), _written(rng, tokens))
    yield (
        "regression",
        PairedPredictions(numbers, numbers + 0.5 * rng.standard_normal(60), numbers + rng.standard_normal(60)),
    )


def _probabilities(rng: np.random.Generator, y: Array, k: int) -> Array:
    p = np.round(rng.random((len(y), k)) + np.eye(k)[y], 1) + 0.05
    out: Array = p / p.sum(axis=1, keepdims=True)
    return out


def _written(rng: np.random.Generator, tokens: Array) -> Array:
    """Nats of reference answers, whether those of a model are equal, and the F1 of their words, (n, 3)."""
    equal = rng.integers(0, 2, len(tokens))
    return np.column_stack([tokens * rng.random(len(tokens)), equal, np.maximum(equal, rng.random(len(tokens)))])


def _predict_truth(rows: PairedPredictions) -> Array:
    """What a model answers that knows the labels."""
    if rows.champion.ndim == 1:
        return rows.y
    if rows.y.dtype.kind == "f":  # free text: nothing is lost on the reference answers, and they are its own
        return np.tile([0.0, 1.0, 1.0], (len(rows), 1))
    truth: Array = np.eye(rows.champion.shape[1])[rows.y]
    return truth


def _score(plugin: MetricModule) -> Metric:
    function: Metric = getattr(plugin, plugin.__name__.rpartition(".")[2])
    return function


def _compare(plugin: MetricModule, rows: PairedPredictions) -> Comparison:
    return compare_with_metric(plugin, rows, resampling=Resampling(resamples=50))


def _are_close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    # the bootstrap may exchange rows that are tied in all that orders them: a thousandth part of slack
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-9))
