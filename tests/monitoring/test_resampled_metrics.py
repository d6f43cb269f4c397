"""Metrics of many resamples at once are those of one after the other; windows are read and split as before."""

from __future__ import annotations

import numpy as np
import pytest

from evermodel.core.stats.metric import METRICS

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
