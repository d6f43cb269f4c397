"""What every metric must obey. ``check_metric(module)`` runs all laws; AssertionError names the broken one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evermodel.core.comparing import DEFAULT_MARGIN, compare_by
from evermodel.core.errors import BadData
from evermodel.core.judgement import PairedRows
from evermodel.core.table import Array

TASKS = ("binary", "multiclass", "regression", "ranking")
Law = Callable[[Any, PairedRows], None]


def names_itself(plug: Any, rows: PairedRows) -> None:
    """The file declares HIGHER_IS_BETTER, TASKS, LABEL and MARGIN_UNIT, and a function of its own name."""
    assert isinstance(plug.HIGHER_IS_BETTER, bool)
    assert plug.TASKS
    assert set(plug.TASKS) <= set(TASKS)
    assert isinstance(plug.LABEL, str)
    assert plug.LABEL
    assert plug.MARGIN_UNIT in DEFAULT_MARGIN
    assert callable(_score(plug))


def nan_never_becomes_a_score(plug: Any, rows: PairedRows) -> None:
    """A prediction that is NaN raises BadData; without rows the value is NaN, never 0."""
    spoilt = rows.champion.copy()
    spoilt[3] = np.nan
    try:
        value = _score(plug)(rows.y, spoilt)
    except BadData:
        pass
    else:
        raise AssertionError(f"a NaN prediction was scored {value}")
    nothing = _score(plug)(rows.y[:0], rows.champion[:0])
    assert math.isnan(nothing), f"no rows were scored {nothing}"


def order_does_not_matter(plug: Any, rows: PairedRows) -> None:
    """Permuting the rows changes neither the value nor the comparison."""
    at = np.random.default_rng(1).permutation(len(rows))
    moved = PairedRows(rows.y[at], rows.champion[at], rows.challenger[at])
    score = _score(plug)
    assert math.isclose(score(rows.y, rows.champion), score(moved.y, moved.champion), rel_tol=1e-9, abs_tol=1e-12)
    a, b = _compared(plug, rows), _compared(plug, moved)
    assert _alike((a.difference, a.low, a.high), (b.difference, b.low, b.high)), f"{a} became {b}"


def weight_is_repetition(plug: Any, rows: PairedRows) -> None:
    """A row of weight two counts as a row that occurs twice."""
    times = np.random.default_rng(2).integers(1, 4, len(rows))
    repeated = _score(plug)(np.repeat(rows.y, times), np.repeat(rows.champion, times, axis=0))
    weighted = _score(plug)(rows.y, rows.champion, weight=times)
    assert math.isclose(repeated, weighted, rel_tol=1e-9, abs_tol=1e-12), f"{weighted}, repeated {repeated}"


def truth_is_best(plug: Any, rows: PairedRows) -> None:
    """Predicting the truth is at least as good as any prediction."""
    k = rows.champion.shape[1] if rows.champion.ndim == 2 else 0
    best = _score(plug)(rows.y, np.eye(k)[rows.y] if k else rows.y)
    given = _score(plug)(rows.y, rows.champion)
    assert best >= given if plug.HIGHER_IS_BETTER else best <= given, f"truth {best}, given {given}"


def a_model_never_beats_itself(plug: Any, rows: PairedRows) -> None:
    """Compared with itself a model's difference is 0, inside the interval."""
    c = _compared(plug, PairedRows(rows.y, rows.champion, rows.champion))
    assert c.difference == 0, f"difference {c.difference}"
    assert c.low <= 0 <= c.high, f"interval {c.low} to {c.high}"


def swapping_mirrors(plug: Any, rows: PairedRows) -> None:
    """Swapping the models mirrors the comparison."""
    a, b = _compared(plug, rows), _compared(plug, PairedRows(rows.y, rows.challenger, rows.champion))
    assert _alike((a.difference, a.low, a.high), (-b.difference, -b.high, -b.low)), f"{a} mirrored is {b}"


def same_seed_same_interval(plug: Any, rows: PairedRows) -> None:
    """The same rows and seed give the same comparison, bit by bit."""
    assert _compared(plug, rows) == _compared(plug, rows)


def inputs_stay(plug: Any, rows: PairedRows) -> None:
    """The arrays given are not written to."""
    before = rows.y.copy(), rows.champion.copy()
    _score(plug)(rows.y, rows.champion)
    assert (rows.y == before[0]).all()
    assert (rows.champion == before[1]).all()


def groups_are_ranked_apart(plug: Any, rows: PairedRows) -> None:
    """Of rows in groups the value is the mean over the groups that have one, in whatever order the rows come."""
    if "ranking" not in plug.TASKS:
        return
    group, score = np.arange(len(rows)) % 4, _score(plug)
    each = [score(rows.y[group == g], rows.champion[group == g], top=3) for g in range(4)]
    whole = score(rows.y, rows.champion, group=group, top=3)
    assert math.isclose(whole, float(np.nanmean(each)), abs_tol=1e-12), f"{whole}, the groups' mean {np.nanmean(each)}"
    at = np.argsort(rows.champion)
    assert math.isclose(whole, score(rows.y[at], rows.champion[at], group=group[at], top=3), abs_tol=1e-12)


LAWS: tuple[Law, ...] = (
    names_itself,
    nan_never_becomes_a_score,
    order_does_not_matter,
    weight_is_repetition,
    truth_is_best,
    a_model_never_beats_itself,
    swapping_mirrors,
    same_seed_same_interval,
    inputs_stay,
    groups_are_ranked_apart,
)


def check_metric(plug: Any) -> int:
    """Runs every law on every task of the metric's module; returns how many checks ran. Raises AssertionError."""
    ran = 0
    for task, rows in example_rows():
        if task not in getattr(plug, "TASKS", TASKS):
            continue
        for law in LAWS:
            try:
                law(plug, rows)
            except AssertionError as error:
                raise AssertionError(f"{plug.__name__} ({task}) breaks a law: {law.__doc__} Got: {error}") from error
            ran += 1
    assert ran, f"{plug.__name__} names no task in {TASKS}"
    return ran


def example_rows() -> Iterator[tuple[str, PairedRows]]:
    """Sixty rows a task; every class occurs and is predicted; some predictions are tied."""
    rng = np.random.default_rng(0)
    for task, k in (("binary", 2), ("multiclass", 3)):
        y = np.arange(60) % k
        yield task, PairedRows(y, _probabilities(rng, y, k), _probabilities(rng, y, k))
    relevant = (np.arange(60) % 5 == 0).astype(np.float64)
    first, second = (np.round(relevant + rng.standard_normal(60), 1) for _ in range(2))
    yield "ranking", PairedRows(relevant, first, second)
    numbers = rng.standard_normal(60)
    yield "regression", PairedRows(numbers, numbers + 0.5 * rng.standard_normal(60), numbers + rng.standard_normal(60))


def _probabilities(rng: np.random.Generator, y: Array, k: int) -> Array:
    p = np.round(rng.random((len(y), k)) + np.eye(k)[y], 1) + 0.05
    out: Array = p / p.sum(axis=1, keepdims=True)
    return out


def _score(plug: Any) -> Any:
    return getattr(plug, plug.__name__.rpartition(".")[2])


def _compared(plug: Any, rows: PairedRows) -> Any:
    return compare_by(plug, rows, resamples=50)


def _alike(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    # rows tied in all that orders them may be drawn as one another: a thousandth part of slack
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-9))
