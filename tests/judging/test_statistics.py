"""Tests and intervals against scipy, against brute force, and against the truth over many seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.errors import BadData
from evermodel.core.records.verdict import Comparison
from evermodel.core.stats import paired_bootstrap
from evermodel.core.stats.distributions import t_quantile, t_tail
from evermodel.core.stats.metric import METRICS
from evermodel.core.stats.paired_tests import (
    _score_deviation,
    adjust_holm,
    mcnemar_p_value,
    rows_needed,
    shrink_estimates,
    tango_interval,
)
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.judging.pooling import pool_comparisons, predict_gain

stats = pytest.importorskip("scipy.stats")
EYE = np.eye(2)


def columns(q):
    return np.column_stack([1 - q, q])


def scored(seed, n, *, groups=None, noise=(0.7, 0.7), gap=1.0):
    """Two scores of labels; a part of the noise is shared by both models, a part within groups."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 3 == 0).astype(int)
    both = gap * y + rng.standard_normal(n)
    if groups is not None:
        both = both + rng.standard_normal(groups.max() + 1)[groups]
        noise = [s * (rng.standard_normal(groups.max() + 1)[groups] + rng.standard_normal(n)) for s in noise]
    else:
        noise = [s * rng.standard_normal(n) for s in noise]
    p = [columns(1 / (1 + np.exp(-(both + e)))) for e in noise]
    return PairedPredictions(y, p[0], p[1], groups)


@given(won=st.integers(0, 400), lost=st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(won, lost):
    expected = stats.binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
    assert mcnemar_p_value(won, lost) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p_value(won, lost) == mcnemar_p_value(lost, won)
    assert 0 < mcnemar_p_value(won, lost, mid=True) <= mcnemar_p_value(won, lost) <= 1


@given(t=st.floats(-30, 30), degrees=st.integers(1, 3000))
def test_t_is_students(t, degrees):
    assert t_tail(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=2e-4 if degrees >= 2000 else 1e-9)
    assert t_quantile(0.975, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-3)
    assert t_quantile(0.95, 0) == math.inf


@given(data=st.data(), n=st.integers(1, 500), confidence=st.floats(0.5, 0.99))
def test_interval_is_symmetric_monotone_and_inside(data, n, confidence):
    won = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - won))
    low, high = tango_interval(won, lost, n, confidence)
    assert -1 <= low <= (won - lost) / n <= high <= 1
    mirrored = tango_interval(lost, won, n, confidence)
    assert (-mirrored[1], -mirrored[0]) == (low, high)
    if won + lost < n:
        more = tango_interval(won + 1, lost, n, confidence)
        assert more[0] >= low - 1e-12
        assert more[1] >= high - 1e-12
    wider = tango_interval(won, lost, n, 0.5 + confidence / 2)
    assert wider[0] <= low <= high <= wider[1]


def test_interval_extremes():
    assert tango_interval(0, 0, 1, 0.95)[0] < -0.5, "one row without a difference says little"
    low, high = tango_interval(0, 0, 1000, 0.95)
    assert -0.01 < low < 0 < high < 0.01
    low, high = tango_interval(50, 0, 50, 0.95)
    assert 0.8 < low < 0.93
    assert high == 1.0


@settings(deadline=None)
@given(data=st.data(), n=st.integers(2, 80), difference=st.floats(-0.9, 0.9))
def test_score_deviation_is_at_the_likeliest_share(data, n, difference):
    """Against a search over the share of pairs lost."""
    won = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - won))
    share = np.linspace(max(0.0, -difference), (1 - difference) / 2, 20_001)[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = won * np.log(share + difference) + lost * np.log(share) if won else lost * np.log(share)
        logs = logs + (n - won - lost) * np.log(1 - 2 * share - difference)
    best = share[np.nanargmax(logs)]
    expected = math.sqrt(n * max(0.0, 2 * best + difference * (1 - difference)))
    assert _score_deviation(won, lost, n, difference) == pytest.approx(expected, abs=0.02 * math.sqrt(n))


@pytest.mark.parametrize(
    ("n", "shares"), [(30, (0.1, 0.05)), (200, (0.05, 0.06)), (1000, (0.02, 0.08)), (60, (0.4, 0.4))]
)
def test_interval_holds_the_truth_as_often_as_it_says(n, shares):
    draws = np.random.default_rng(0).multinomial(n, [*shares, 1 - sum(shares)], 2000)[:, :2]
    truth = shares[0] - shares[1]
    inside = [low <= truth <= high for low, high in (tango_interval(int(w), int(x), n, 0.9) for w, x in draws)]
    assert 0.89 <= np.mean(inside) <= 0.96


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(2, 15), n=st.integers(2, 15), k=st.integers(2, 5))
def test_delong_is_the_definition(seed, m, n, k):
    """Placements by comparing every pair, ties counting half; covariance of both models as DeLong wrote it."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(m, dtype=int), np.zeros(n, dtype=int)]
    scores = rng.integers(0, k, (2, m + n)) / k
    wins = [(s[:m, None] > s[None, m:]) + 0.5 * (s[:m, None] == s[None, m:]) for s in scores]
    excess = wins[1] - wins[0]
    variance = excess.mean(axis=1).var(ddof=1) / m + excess.mean(axis=0).var(ddof=1) / n
    c = compare_predictions("auc", PairedPredictions(y, columns(scores[0]), columns(scores[1])))
    assert c.difference == pytest.approx(excess.mean(), abs=1e-12)
    assert c.standard_error**2 == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
def test_delong_agrees_with_the_bootstrap(grouped):
    n = 600
    groups = np.arange(n) // 6 if grouped else None
    rows = scored(1, n, groups=groups)
    codes, g = paired_bootstrap.encode_groups(groups, n)
    both = rows.champion, rows.challenger
    drawn = paired_bootstrap.resample_rows(METRICS.load_module("auc"), rows.y, both, codes, g, 600, 0)
    assert compare_predictions("auc", rows).standard_error == pytest.approx(drawn.std(), rel=0.12)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "brier", "f1"])
@pytest.mark.parametrize("grouped", [False, True])
def test_equal_models_are_told_apart_as_seldom_as_stated(metric, grouped):
    groups = np.arange(240) // 6 if grouped else None
    found = [
        compare_predictions(metric, scored(s, 240, groups=groups), confidence=0.9, resamples=200, seed=s)
        for s in range(300)
    ]
    outside = np.mean([not c.low <= 0 <= c.high for c in found])
    assert outside <= 0.1 + 3 * math.sqrt(0.09 / 300), f"{outside:.3f} of intervals miss the truth, 0.1 may"


def test_groups_widen_where_rows_hang_together():
    once, five = scored(3, 300), np.repeat(np.arange(300), 5)
    rows = PairedPredictions(once.y[five], once.champion[five], once.challenger[five], five)
    for metric in ("auc", "brier", "accuracy", "f1"):
        error = compare_predictions(metric, once).standard_error
        assert compare_predictions(metric, rows).standard_error == pytest.approx(error, rel=0.1), (
            "copies of a row are no evidence"
        )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm(p):
    adjusted = adjust_holm(p)
    assert all(a >= x for a, x in zip(adjusted, p, strict=True))
    assert min(adjusted) == pytest.approx(min(1.0, len(p) * min(p)))
    assert sorted(adjusted) == [adjusted[i] for i in sorted(range(len(p)), key=p.__getitem__)]


def test_holm_example():
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_shrinking():
    noise = np.full(3, 0.01)
    assert shrink_estimates(np.array([0.1, 0.0, -0.1]), noise, 0.0) == pytest.approx([0, 0, 0]), (
        "scatter that noise explains"
    )
    kept = shrink_estimates(np.array([9.0, 0.0, -9.0]), noise, 0.0)
    assert kept == pytest.approx([9, 0, -9], rel=0.01)


def test_rows_needed_gives_the_power_it_promises():
    n, error, truth = 500, 0.02, 0.005
    needed = rows_needed(truth + 0.01, error, n)
    assert needed is not None
    then = error * math.sqrt(n / needed)
    estimates = truth + then * np.random.default_rng(0).standard_normal(20_000)
    assert np.mean(estimates - 1.645 * then > -0.01) == pytest.approx(0.8, abs=0.01)
    assert rows_needed(0.0, error, n) is None
    assert rows_needed(math.nan, error, n) is None


def comparison(gain, error, n=500):
    return Comparison("accuracy", 0.8, 0.8 + gain, gain, gain - 2 * error, gain + 2 * error, n, True, "x", 0.9, error)


def test_pooling():
    now = comparison(-0.002, 0.01)
    assert pool_comparisons(now, ()).difference == pytest.approx(now.difference)
    together = pool_comparisons(now, [comparison(0.01, 0.01)] * 5)
    assert now.difference < together.difference < 0.01
    assert together.standard_error < now.standard_error
    undetermined = comparison(math.nan, math.nan)
    assert pool_comparisons(undetermined, [now]) is undetermined


def test_prediction_counts_what_updates_differ_by():
    alike, scattered = [comparison(0.01, 0.002)] * 5, [comparison(g, 0.002) for g in (-0.04, 0.05, -0.02, 0.06, 0.0)]
    assert predict_gain(alike)[1] < 0.003
    assert predict_gain(scattered)[1] > 0.03
    assert predict_gain(alike[:2])[1] == math.inf


@pytest.mark.parametrize("metric", ["accuracy", "auc", "f1", "pr_auc", "log_loss"])
def test_one_row_and_one_class_give_no_false_figure(metric):
    y = np.array([1])
    c = compare_predictions(metric, PairedPredictions(y, columns(np.array([0.4])), columns(np.array([0.6]))))
    assert math.isnan(c.low) or c.high - c.low > 0.9
    one = PairedPredictions(np.zeros(50, dtype=int), columns(np.linspace(0, 1, 50)), columns(np.linspace(1, 0, 50)))
    if metric == "auc":
        assert math.isnan(compare_predictions(metric, one).difference)


def test_perfect_on_few_rows_is_not_certain():
    y = np.arange(10) % 2
    c = compare_predictions("auc", PairedPredictions(y, columns(0.4 + 0.2 * y), columns(0.1 + 0.8 * y)))
    assert c.difference == 0
    assert c.low < -0.2, "ten rows without a slip are no proof"


def test_rows_that_cannot_be_compared():
    with pytest.raises(BadData, match="at least one"):
        compare_predictions("accuracy", PairedPredictions(np.zeros(0, dtype=int), EYE[:0], EYE[:0]))
    with pytest.raises(BadData, match="same rows"):
        compare_predictions("accuracy", PairedPredictions(np.zeros(2, dtype=int), EYE, EYE[:1]))


def test_stretches_are_consecutive():
    codes = paired_bootstrap.split_stretches(1000)
    assert codes[0] == 0
    assert codes[-1] == 39
    assert (np.diff(codes) >= 0).all()
    assert len(paired_bootstrap.split_stretches(0)) == 0
    assert set(paired_bootstrap.split_stretches(3)) == {0}
