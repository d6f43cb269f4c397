"""What every drift statistic must promise. ``check_drift_statistic`` runs all checks and names the broken promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.stats.drift_statistic import DriftModule, DriftStatistic, OfCounts, OfSums
from evermodel.core.stats.reference_bins import ColumnCounts, ColumnReference, build_reference, count_column

KINDS = ("number", "category", "rows")
Check = Callable[[DriftModule], None]


def check_declarations(plugin: DriftModule) -> None:
    """The file declares KINDS, out of "number", "category" and "rows", and a function of its own name."""
    kinds = getattr(plugin, "KINDS", None)
    assert kinds, "KINDS is missing or empty"
    assert set(kinds) <= set(KINDS), f"KINDS holds more than {KINDS}: {kinds}"
    assert callable(getattr(plugin, plugin.__name__.rpartition(".")[2], None)), "no function of the plugin's name"


def check_same_sample_gives_zero(plugin: DriftModule) -> None:
    """A sample compared with itself gives 0; a statistic that trains a classifier gives at most 0.12."""
    exact = "rows" not in plugin.KINDS or isinstance(plugin, OfSums)
    for a, _ in draw_samples(plugin):
        most = 1e-12 if exact else 0.12
        assert abs(_function_of(plugin)(a, a)) < most, _function_of(plugin)(a, a)


def check_more_drift_gives_more(plugin: DriftModule) -> None:
    """The farther the rows move, the larger the number."""
    for kind in plugin.KINDS:
        found = [_function_of(plugin)(*draw_sample(kind, drift)) for drift in (0.0, 0.3, 1.0)]
        assert found[0] < found[1] < found[2], found


def check_row_order_does_not_matter(plugin: DriftModule) -> None:
    """Permuting the rows changes nothing."""
    rng = np.random.default_rng(1)
    for a, b in draw_samples(plugin):
        was, now = _function_of(plugin)(a, b), _function_of(plugin)(rng.permutation(a), rng.permutation(b))
        assert math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12), f"{was} became {now}"


def check_no_rows_give_nan(plugin: DriftModule) -> None:
    """Without rows the number is NaN, and of counts None; never 0."""
    for a, b in draw_samples(plugin):
        value = _function_of(plugin)(a, b[:0])
        assert math.isnan(value), f"no rows gave {value}"
        if isinstance(plugin, OfCounts):
            reference = _reference(a)
            counted = plugin.of_counts(reference, ColumnCounts(count_column(_series(b), reference).bins * 0))
            assert counted is None, f"counts of no rows gave {counted}"


def check_batches_add_up(plugin: DriftModule) -> None:
    """Counts (or sums) of two batches added, in either order, are those of all rows, and give the same number."""
    for a, b in draw_samples(plugin):
        if isinstance(plugin, OfSums):
            _check_sums_add_up(plugin, a, b)
        if isinstance(plugin, OfCounts):
            _check_counts_add_up(plugin, a, b)


def _check_sums_add_up(plugin: OfSums, a: Array, b: Array) -> None:
    reference, whole = plugin.sums(a), plugin.of_sums(plugin.sums(a), plugin.sums(b))
    first, second = plugin.sums(b[:170]), plugin.sums(b[170:])
    for added in (first + second, second + first):
        value = plugin.of_sums(reference, added)
        assert math.isclose(value, whole, rel_tol=1e-9), f"{value} of the batches, {whole} of all rows"


def _check_counts_add_up(plugin: OfCounts, a: Array, b: Array) -> None:
    reference = _reference(a)
    whole = plugin.of_counts(reference, count_column(_series(b), reference))
    first, second = (count_column(_series(x), reference) for x in (b[:170], b[170:]))
    for added in (first + second, second + first):
        value = plugin.of_counts(reference, added)
        assert value == whole, f"{value} of the batches, {whole} of all rows"


def check_inputs_are_not_changed(plugin: DriftModule) -> None:
    """The arrays given are not written to."""
    for a, b in draw_samples(plugin):
        before = a.copy(), b.copy()
        _function_of(plugin)(a, b)
        assert (a == before[0]).all(), "the reference rows were written to"
        assert (b == before[1]).all(), "the current rows were written to"


CHECKS: tuple[Check, ...] = (
    check_declarations,
    check_same_sample_gives_zero,
    check_more_drift_gives_more,
    check_row_order_does_not_matter,
    check_no_rows_give_nan,
    check_batches_add_up,
    check_inputs_are_not_changed,
)


def check_drift_statistic(plugin: DriftModule) -> int:
    """Runs every check on the module of a drift statistic; returns how many ran. Raises AssertionError."""
    for check in CHECKS:
        try:
            check(plugin)
        except AssertionError as error:
            text = f"The drift statistic {plugin.__name__} breaks: {check.__doc__} Got: {error}"
            raise AssertionError(text) from error
    return len(CHECKS)


def count_false_alarms(path: Callable[[Array, Array], Array], level: float, seeds: int = 200) -> int:
    """Of ``seeds`` columns without drift, tested thirty times against 500 reference rows, those that alarm.

    ``path(windows, reference)`` gives the log e-value after each window. The promise is at most
    ``seeds * exp(-level)`` alarms, give or take chance.
    """
    alarmed = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        reference = _reference(rng.standard_normal(500))
        bins = np.stack([count_column(_series(rng.standard_normal(200)), reference).bins for _ in range(30)])
        found = path(reference.merge_bins(bins), reference.merge_bins(np.asarray(reference.concentrations)))
        alarmed += bool(found.max() >= level)
    return alarmed


def draw_sample(kind: str, drift: float) -> tuple[Array, Array]:
    """400 reference rows and 350 rows that moved by ``drift``."""
    rng = np.random.default_rng(0)
    if kind == "rows":
        turned = rng.standard_normal((350, 3))
        return rng.standard_normal((400, 3)), turned + drift * np.array([2.0, -1.0, 1.0])
    if kind == "number":
        return rng.standard_normal(400), rng.standard_normal(350) + drift
    shares = np.array([0.5, 0.3, 0.2]) + drift * np.array([-0.4, 0.1, 0.3])
    names = np.array(["a", "b", "c"])
    return rng.choice(names, 400, p=[0.5, 0.3, 0.2]), rng.choice(names, 350, p=shares)


def draw_samples(plugin: DriftModule) -> Iterator[tuple[Array, Array]]:
    """Two samples of each kind of column that the statistic is for."""
    for kind in plugin.KINDS:
        yield draw_sample(kind, 0.3)


def _series(x: Array) -> pl.Series:
    return pl.Series("x", x)


def _reference(x: Array) -> ColumnReference:
    found = build_reference(_series(x))
    assert found is not None
    return found


def _function_of(plugin: DriftModule) -> DriftStatistic:
    function: DriftStatistic = getattr(plugin, plugin.__name__.rpartition(".")[2])
    return function
