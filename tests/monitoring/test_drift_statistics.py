"""The drift statistics keep their promises, agree with scipy, and each check catches a plugin that breaks it."""

from __future__ import annotations

import math
import random
import re
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.stats.count_e_process import (
    compute_drift_evidence,
    compute_drift_path,
    compute_rise_evidence,
    compute_rise_path,
)
from evermodel.core.stats.distributions import wilson_interval
from evermodel.core.stats.drift_statistic import DRIFT_STATISTICS
from evermodel.core.stats.metric import METRICS
from evermodel.core.stats.metric_intervals import measure_metric
from evermodel.testing import drift as contract

NAMES = DRIFT_STATISTICS.names()


def test_own_statistics_are_found():
    assert set(NAMES) >= {"ks", "psi", "jensen_shannon", "wasserstein", "chi2"}


@pytest.mark.parametrize("name", NAMES)
def test_every_statistic_keeps_its_promises(name):
    assert contract.check_drift_statistic(DRIFT_STATISTICS.load_module(name)) == len(contract.CHECKS)


def broken(of=None, of_counts=None, kinds=("number",)):
    plugin = types.ModuleType("outside.ks")
    good = DRIFT_STATISTICS.load_module("ks")
    plugin.KINDS, plugin.ks, plugin.of_counts = kinds, of or good.ks, of_counts or good.of_counts
    return plugin


def _unsummed(a):
    found = DRIFT_STATISTICS.load_module("mmd").sums(a)
    return np.r_[found[:-2] ** 2, found[-2:]]


def test_a_detector_of_rows_whose_sums_do_not_add_up_is_caught():
    plugin = types.ModuleType("outside.mmd")
    good = DRIFT_STATISTICS.load_module("mmd")
    plugin.KINDS, plugin.mmd, plugin.sums, plugin.of_sums = ("rows",), good.mmd, _unsummed, good.of_sums
    with pytest.raises(AssertionError):
        contract.check_batches_add_up(plugin)


@pytest.mark.parametrize("name", ["c2st", "mmd"])
def test_a_correlation_that_turned_is_seen_though_no_column_moved(name):
    rng, detector = np.random.default_rng(0), DRIFT_STATISTICS.load(name)
    turn = np.array([[1.0, 0.9], [0.0, np.sqrt(1 - 0.81)]])
    a, same, turned = (rng.standard_normal((1000, 2)) for _ in range(3))
    assert detector(a, turned @ turn) > 3 * detector(a, same)
    assert detector(a, turned @ turn) > 0.15


KS = DRIFT_STATISTICS.load("ks")


def writes(a, b):
    value = KS(a, b)
    a[0] += 1e-12
    return value


def noisy_counts(reference, now):
    return random.random() if now.bins.sum() else None


BROKEN = {
    contract.check_declarations: broken(kinds=("colour",)),
    contract.check_same_sample_gives_zero: broken(lambda a, b: KS(a, b) + 0.01),
    contract.check_more_drift_gives_more: broken(lambda a, b: 0.0 if len(b) else math.nan),
    contract.check_row_order_does_not_matter: broken(lambda a, b: KS(a, b) * (1 + 0.01 * a[0])),
    contract.check_no_rows_give_nan: broken(lambda a, b: KS(a, b) if len(b) else 0.0),
    contract.check_batches_add_up: broken(of_counts=noisy_counts),
    contract.check_inputs_are_not_changed: broken(writes),
}


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_each_check_catches_the_statistic_that_breaks_it_and_no_other_check_does(check):
    with pytest.raises(AssertionError):
        check(BROKEN[check])
    with pytest.raises(AssertionError, match=re.escape(check.__doc__)):
        contract.check_drift_statistic(BROKEN[check])
    if check is not contract.check_declarations:  # of an unknown kind no sample can be drawn
        for other in set(contract.CHECKS) - {check}:
            other(BROKEN[check])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 700), m=st.integers(1, 700), digits=st.sampled_from([0, 1, 9]))
def test_ks_and_wasserstein_are_scipys(seed, n, m, digits):
    stats = pytest.importorskip("scipy.stats", reason="pip install scipy")
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(size=n), digits), np.round(rng.normal(0.2, 1.5, size=m), digits)
    ks, area = (DRIFT_STATISTICS.load(k) for k in ("ks", "wasserstein"))
    assert ks(a, b) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert area(a, b) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-9)


def test_a_detector_takes_settings_and_refuses_words():
    from evermodel.core.errors import BadData

    with pytest.raises(BadData, match="Numbers"):
        DRIFT_STATISTICS.load("ks")(np.array(["a"]), np.array(["b"]))


def test_quiet_columns_are_quiet_and_an_overconfident_monitor_is_caught():
    level = math.log(20.0)
    assert (
        contract.count_false_alarms(compute_drift_path, level, seeds=60) <= 6
    )  # 3 are expected at most; this is two deviations above
    sure = contract.count_false_alarms(
        lambda windows, reference: compute_drift_path(windows, reference * 1000), level, seeds=60
    )
    assert sure > 20, "who takes the reference for the truth alarms on quiet columns"


def test_the_evidence_of_the_path_is_the_evidence_at_its_end():
    windows = np.random.default_rng(0).integers(1, 60, (12, 5))
    reference = np.full(5, 40.0)
    assert compute_drift_path(windows, reference)[-1] == pytest.approx(
        compute_drift_evidence(windows, reference), abs=1e-9
    )
    assert compute_rise_path(windows[:, :2], reference[:2])[-1] == pytest.approx(
        compute_rise_evidence(windows[:, :2], reference[:2])
    )


def test_an_e_value_is_one_on_average():
    rng, found = np.random.default_rng(1), []
    for _ in range(2000):
        share = rng.dirichlet([3.0, 4.0, 5.0])  # the reference's own posterior: then the mean is exactly 1
        windows = rng.multinomial(4, share, 3)
        found.append(math.exp(compute_drift_evidence(windows, np.array([3.0, 4.0, 5.0]))))
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)


def test_a_rise_is_found_and_a_fall_is_not():
    known = np.array([200.5, 800.5])
    assert compute_rise_evidence(np.array([[200, 800], [300, 700]]), known) > 5
    assert compute_rise_evidence(np.array([[200, 800], [50, 950]]), known) < 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(5, 400), k=st.sampled_from([2, 3]))
def test_what_is_measured_is_the_metrics_value_inside_its_interval(seed, n, k):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    p = rng.dirichlet(np.ones(k), n) + 0.4 * np.eye(k)[y]
    p /= p.sum(axis=1, keepdims=True)
    for name in ("accuracy", "auc", "f1", "precision", "recall", "log_loss"):
        value, m = METRICS.load(name)(y, p), measure_metric(name, y, p)
        assert m.value == pytest.approx(value, abs=1e-12, nan_ok=True)
        if not math.isnan(m.low):
            assert m.low <= m.value <= m.high


def test_wilson():
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert all(math.isnan(v) for v in wilson_interval(0, 0))
