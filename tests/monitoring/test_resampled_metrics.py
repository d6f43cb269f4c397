"""Metrics of many resamples, or of many windows, at once are those of one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.distributions import t_quantile
from evermodel.core.stats.metric import METRICS, Tabular
from evermodel.core.stats.metric_intervals import measure_metric, measure_metric_of_windows

AT_ONCE = [name for name in METRICS.names() if hasattr(METRICS.load_module(name), "score_resamples")]


def test_there_are_some():
    assert {"pr_auc", "calibration_error"} <= set(AT_ONCE)


@pytest.mark.parametrize("digits", [1, 2, 9], ids=lambda digits: f"scores of {digits} digits")
@pytest.mark.parametrize("metric", AT_ONCE)
def test_all_resamples_at_once_are_each_by_itself(metric, digits):
    random, plugin = np.random.default_rng(digits), METRICS.load_module(metric)
    for n in (3, 40, 1000):
        share = random.random(n).round(digits)
        y = (random.random(n) < share).astype(np.int64)
        weights = random.integers(0, 3, (25, n)).astype(np.float64)
        weights[0] = 0.0  # a resample without any row has no value
        p = np.column_stack([1.0 - share, share])
        one_by_one = [getattr(plugin, metric)(y, p, weight=row) for row in weights]
        assert np.allclose(plugin.score_resamples(y, p, weights), one_by_one, rtol=0.0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("n", [40, 1000, 30_000])  # all at once, some at once, few at once
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("metric", AT_ONCE)
def test_two_models_are_compared_on_the_same_resamples(metric, slope, n, monkeypatch):
    monkeypatch.setattr(paired_bootstrap, "MANY_ROWS", 10**9)  # row by row, not by a table of each group
    plugin, codes = METRICS.load_module(metric), np.arange(n) % 20
    y, champion = draw_window(0, n)
    both = champion, draw_window(1, n)[1]
    drawn = paired_bootstrap.resample_rows(plugin, y, both, codes, 20, 25, 3, slope)
    weights = np.concatenate(list(paired_bootstrap.draw_counts(20, 25, 3)))[:, codes].astype(np.float64)
    score = getattr(plugin, metric)
    values = np.array([[score(y, p, weight=row) for p in both] for row in weights])
    assert drawn == pytest.approx(values[:, 1] - (1.0 + slope) * values[:, 0], abs=1e-12)
    monkeypatch.delattr(plugin, "score_resamples")  # as a metric of another package
    alone = paired_bootstrap.resample_rows(plugin, y, both, codes, 20, 25, 3, slope)
    assert drawn == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize("rare", [False, True], ids=["half are positive", "one in fifty is positive"])
@pytest.mark.parametrize("metric", [name for name in AT_ONCE if isinstance(METRICS.load_module(name), Tabular)])
def test_tables_of_groups_scatter_as_their_rows_do(metric, rare, monkeypatch):
    n = 40_000
    plugin, codes = METRICS.load_module(metric), np.sort(np.random.default_rng(5).integers(0, 50, n))
    y, p = draw_window(0, n)
    if rare:
        y[np.random.default_rng(1).random(n) < 0.96] = 0
    both = p, draw_window(1, n)[1]
    by_table = paired_bootstrap.resample_rows(plugin, y, both, codes, 50, 60, 3, 0.1)
    monkeypatch.setattr(paired_bootstrap, "MANY_ROWS", n + 1)
    by_row = paired_bootstrap.resample_rows(plugin, y, both, codes, 50, 60, 3, 0.1)
    is_exact = rare or metric != "pr_auc"  # a table has a cell for each positive row, as long as they are few
    assert by_table == pytest.approx(by_row, abs=1e-12 if is_exact else 3e-4)
    assert by_table.std() == pytest.approx(by_row.std(), rel=1e-9 if is_exact else 5e-3)


def test_a_table_without_positive_rows_has_no_average_precision():
    plugin = METRICS.load_module("pr_auc")
    table = plugin.tabulate_groups(np.zeros(6, dtype=np.int64), np.full((6, 2), 0.5), np.arange(6) % 2, 2)
    assert np.isnan(plugin.score_tables(table)).all()


def draw_window(seed, n, classes=2):
    """Labels and float32 probabilities, as a window's rows hold them."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, n)
    p = random.dirichlet(np.ones(classes), n) + 0.3 * np.eye(classes)[y]
    return y, (p / p.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", ["accuracy", "auc", "f1", "log_loss", "brier", "pr_auc", "calibration_error"])
def test_windows_measured_together_are_each_by_itself(metric, classes):
    sizes = [1000, 7, 40, 1000, 1500, 40, 1000, *[300] * 30]  # too few, as many, more than are drawn by themselves
    windows = [draw_window(i, n, classes) for i, n in enumerate(sizes)]
    windows.insert(3, (np.zeros(40, dtype=np.int64), windows[2][1]))  # one class alone
    together = measure_metric_of_windows(metric, windows)
    for (y, p), value in zip(windows, together, strict=True):
        alone = measure_metric(metric, y, p)
        numbers = [(m.value, m.low, m.high, m.n) for m in (value, alone)]
        assert np.allclose(*numbers, rtol=0.0, atol=1e-12, equal_nan=True)
    assert sum(np.isfinite(value.low) for value in together) >= 35
    assert measure_metric_of_windows(metric, []) == []


def test_an_interval_is_the_scatter_of_the_resampled_mean():
    windows = [draw_window(i, 500) for i in range(3)]
    drawn = np.concatenate(list(paired_bootstrap.draw_counts(500, 1_000, 0))).astype(np.float64)
    for (y, p), found in zip(windows, measure_metric_of_windows("log_loss", windows), strict=True):
        means = drawn @ -np.log(p[np.arange(500), y] / p.sum(axis=1)) / 500
        reach = t_quantile(0.975, 499) * means.std(ddof=1) * np.sqrt(500 / 499)
        assert found.high - found.value == pytest.approx(reach, rel=1e-9)
