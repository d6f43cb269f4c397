"""The detectors obey their laws, agree with scipy, and each law catches a plug that breaks it."""

from __future__ import annotations

import math
import random
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core import plugs
from evermodel.core.evidence import drift_evidence, drift_path, log_gamma, rise_evidence, rise_path
from evermodel.core.intervals import measure, wilson
from evermodel.laws import detectors as laws

NAMES = plugs.names("detectors")


def test_the_room_is_not_empty():
    assert set(NAMES) >= {"ks", "psi", "jensen_shannon", "wasserstein", "chi2"}


@pytest.mark.parametrize("name", NAMES)
def test_every_detector_obeys_the_laws(name):
    assert laws.check_detector(plugs.module("detectors", name)) == len(laws.LAWS)


def broken(of=lambda a, b: 0.5, of_counts=None):
    plug = types.ModuleType("outside.ks")
    good = plugs.module("detectors", "ks")
    plug.KINDS, plug.ks, plug.of_counts = ("number",), of, of_counts or good.of_counts
    return plug


def _unsummed(a):
    found = plugs.module("detectors", "mmd").sums(a)
    return np.r_[found[:-2] ** 2, found[-2:]]


def test_a_detector_of_rows_whose_sums_do_not_add_up_is_caught():
    plug = types.ModuleType("outside.mmd")
    good = plugs.module("detectors", "mmd")
    plug.KINDS, plug.mmd, plug.sums, plug.of_sums = ("rows",), good.mmd, _unsummed, good.of_sums
    with pytest.raises(AssertionError):
        laws.batches_add_up(plug)


@pytest.mark.parametrize("name", ["c2st", "mmd"])
def test_a_correlation_that_turned_is_seen_though_no_column_moved(name):
    rng, detector = np.random.default_rng(0), plugs.function("detectors", name)
    turn = np.array([[1.0, 0.9], [0.0, np.sqrt(1 - 0.81)]])
    a, same, turned = (rng.standard_normal((1000, 2)) for _ in range(3))
    assert detector(a, turned @ turn) > 3 * detector(a, same)
    assert detector(a, turned @ turn) > 0.15


def _writing(a, b):
    a[0] += 1.0
    return 0.0


BROKEN = {
    laws.nothing_moved_is_nothing: broken(),
    laws.more_drift_is_more: broken(lambda a, b: 0.5),
    laws.order_does_not_matter: broken(lambda a, b: float(a[0] - b[0])),
    laws.no_rows_are_not_zero: broken(lambda a, b: 0.0),
    laws.batches_add_up: broken(of_counts=lambda r, c: random.random()),
    laws.inputs_stay: broken(_writing),
}


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_every_law_catches_a_plug_that_breaks_it(law):
    with pytest.raises(AssertionError):
        law(BROKEN[law])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 700), m=st.integers(1, 700), digits=st.sampled_from([0, 1, 9]))
def test_ks_and_wasserstein_are_scipys(seed, n, m, digits):
    stats = pytest.importorskip("scipy.stats", reason="pip install scipy")
    rng = np.random.default_rng(seed)
    a, b = np.round(rng.normal(size=n), digits), np.round(rng.normal(0.2, 1.5, size=m), digits)
    ks, area = (plugs.function("detectors", k) for k in ("ks", "wasserstein"))
    assert ks(a, b) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert area(a, b) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-9)


def test_a_detector_takes_settings_and_refuses_words():
    from evermodel.core.errors import BadData

    with pytest.raises(BadData, match="Numbers"):
        plugs.function("detectors", "ks")(np.array(["a"]), np.array(["b"]))


def test_log_gamma():
    x = np.array([0.01, 0.5, 1.0, 9.99, 10.0, 1e6])
    assert log_gamma(x) == pytest.approx([math.lgamma(v) for v in x], rel=1e-11, abs=1e-11)


def test_quiet_columns_are_quiet_and_an_overconfident_monitor_is_caught():
    level = math.log(20.0)
    assert laws.false_alarms(drift_path, level, seeds=60) <= 6  # 3 are expected at most; this is two deviations above
    sure = laws.false_alarms(lambda looks, reference: drift_path(looks, reference * 1000), level, seeds=60)
    assert sure > 20, "who takes the reference for the truth alarms on quiet columns"


def test_the_evidence_of_the_path_is_the_evidence_at_its_end():
    looks = np.random.default_rng(0).integers(1, 60, (12, 5))
    reference = np.full(5, 40.0)
    assert drift_path(looks, reference)[-1] == pytest.approx(drift_evidence(looks, reference), abs=1e-9)
    assert rise_path(looks[:, :2], reference[:2])[-1] == pytest.approx(rise_evidence(looks[:, :2], reference[:2]))


def test_an_e_value_is_one_on_average():
    rng, found = np.random.default_rng(1), []
    for _ in range(2000):
        share = rng.dirichlet([3.0, 4.0, 5.0])  # the reference's own posterior: then the mean is exactly 1
        looks = rng.multinomial(4, share, 3)
        found.append(math.exp(drift_evidence(looks, np.array([3.0, 4.0, 5.0]))))
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)


def test_a_rise_is_found_and_a_fall_is_not():
    known = np.array([200.5, 800.5])
    assert rise_evidence(np.array([[200, 800], [300, 700]]), known) > 5
    assert rise_evidence(np.array([[200, 800], [50, 950]]), known) < 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(5, 400), k=st.sampled_from([2, 3]))
def test_what_is_measured_is_the_metrics_value_inside_its_interval(seed, n, k):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    p = rng.dirichlet(np.ones(k), n) + 0.4 * np.eye(k)[y]
    p /= p.sum(axis=1, keepdims=True)
    for name in ("accuracy", "auc", "f1", "precision", "recall", "log_loss"):
        value, m = plugs.function("metrics", name)(y, p), measure(name, y, p)
        assert m.value == pytest.approx(value, abs=1e-12, nan_ok=True)
        if not math.isnan(m.low):
            assert m.low <= m.value <= m.high


def test_wilson():
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert all(math.isnan(v) for v in wilson(0, 0))
