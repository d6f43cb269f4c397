"""Quantiles, tails and areas under curves against their definitions, and against numbers pinned before scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.stats.auc import compute_auc, compute_placements, compute_weighted_auc
from evermodel.core.stats.distributions import normal_quantile, normal_tail, t_quantile, t_tail, wilson_interval
from evermodel.core.stats.paired_tests import mcnemar_p_value


def test_quantiles_are_the_pinned_ones():
    assert normal_quantile(0.975) == pytest.approx(1.959963984540054, abs=1e-12)
    assert t_quantile(0.975, 1) == pytest.approx(12.706204736174707, abs=1e-9)
    assert t_quantile(0.975, 39) == pytest.approx(2.022690920036762, abs=1e-9)
    assert t_quantile(0.95, 5) == pytest.approx(2.0150483733330233, abs=1e-9)
    assert t_quantile(0.975, 2_000) == normal_quantile(0.975)
    assert t_quantile(0.975, 0) == math.inf


@pytest.mark.parametrize("degrees", [1, 2, 7, 30, 500])
@pytest.mark.parametrize("share", [0.5, 0.75, 0.975, 0.999])
def test_tail_and_quantile_are_each_other_s_inverse(degrees, share):
    t = t_quantile(share, degrees)
    assert t_tail(t, degrees) == pytest.approx(2 * (1 - share), abs=1e-9)
    assert t_tail(-t, degrees) == t_tail(t, degrees)


def test_student_s_tail_is_heavier_than_the_normal_one():
    assert t_tail(3.0, 5) > normal_tail(3.0) > 0


def test_mcnemar_is_the_exact_binomial_tail():
    for won, lost in ((0, 0), (1, 0), (7, 2), (20, 33), (400, 350)):
        n, fewer = won + lost, min(won, lost)
        tail = sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n
        assert mcnemar_p_value(won, lost) == pytest.approx(min(1.0, 2 * tail), abs=1e-12)
        if n:
            middle = tail - math.comb(n, fewer) / 2**n / 2
            assert mcnemar_p_value(won, lost, mid=True) == pytest.approx(min(1.0, 2 * middle), abs=1e-12)


def test_wilson_holds_for_parts_of_rows_and_says_nothing_without_rows():
    low, high = wilson_interval(2.5, 10.5)
    assert 0 < low < 2.5 / 10.5 < high < 1
    assert all(math.isnan(v) for v in wilson_interval(0, 0))
    assert wilson_interval(0, 30)[0] == 0.0


@settings(max_examples=80, deadline=None)
@given(data=st.data(), n=st.integers(2, 40))
def test_the_area_is_the_share_of_pairs_in_order(data, n):
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    score = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=float)
    if positive.all() or not positive.any():
        assert math.isnan(compute_auc(positive, score))
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    area = compute_auc(positive, score)
    assert area == pytest.approx(np.mean(pairs), abs=1e-12)
    assert area == pytest.approx(float(compute_weighted_auc(positive, score, np.ones(n))), abs=1e-12)
    above, below = compute_placements(positive, score)
    assert above.mean() == pytest.approx(area, abs=1e-12)
    assert below.mean() == pytest.approx(area, abs=1e-12)
    first = score[positive][0]
    assert above[0] == pytest.approx(np.mean((first > score[~positive]) + 0.5 * (first == score[~positive])))


def test_equal_rankings_have_the_very_same_area():
    """An area that differed in the last bit would look like a gain."""
    rng = np.random.default_rng(0)
    score, positive = rng.random(1_000), rng.random(1_000) < 0.3
    order = rng.permutation(1_000)
    assert compute_auc(positive, score) == compute_auc(positive[order], score[order]) == compute_auc(positive, score**3)
