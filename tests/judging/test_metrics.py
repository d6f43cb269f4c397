"""The metrics against scikit-learn, and each against what every metric promises."""

from __future__ import annotations

import math
import re
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core.errors import BadData
from evermodel.core.stats.metric import METRICS
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.testing import metrics as contract

sk = pytest.importorskip("sklearn.metrics")
CLASSIFYING = [n for n in METRICS.names() if "binary" in METRICS.load_module(n).TASKS]


def score(name, y, p, weight=None):
    return METRICS.load(name)(y, p, weight=weight)


def reference(name, y, p, weight):
    two, called = p.shape[1] == 2, p.argmax(axis=1)
    average = {"average": "binary" if two else "macro", "sample_weight": weight}
    one_hot = np.eye(p.shape[1])[y]
    return {
        "accuracy": lambda: sk.accuracy_score(y, called, sample_weight=weight),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, called, sample_weight=weight),
        "precision": lambda: sk.precision_score(y, called, **average),
        "recall": lambda: sk.recall_score(y, called, **average),
        "f1": lambda: sk.f1_score(y, called, **average),
        "log_loss": lambda: sk.log_loss(y, p, sample_weight=weight, labels=np.arange(p.shape[1])),
        "brier": lambda: np.average(((p[:, 1] - y) ** 2) if two else ((p - one_hot) ** 2).sum(axis=1), weights=weight),
        "auc": lambda: sk.roc_auc_score(y, p[:, 1] if two else p, multi_class="ovr", sample_weight=weight),
        "pr_auc": lambda: sk.average_precision_score(
            y if two else one_hot, p[:, 1] if two else p, sample_weight=weight
        ),
    }[name]()


@pytest.mark.parametrize("name", [n for n in CLASSIFYING if n != "calibration_error"])
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(2, 5),
    n=st.integers(40, 200),
    digits=st.integers(1, 6),
    weighted=st.booleans(),
)
def test_as_scikit_learn(name, seed, k, n, digits, weighted):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    p = np.round(rng.dirichlet(np.ones(k), n) + 0.3 * np.eye(k)[y], digits) + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    if name in ("precision", "recall") and len(np.unique(p.argmax(axis=1))) < k:
        return
    weight = rng.random(n) if weighted else None
    assert score(name, y, p, weight) == pytest.approx(reference(name, y, p, weight), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 1e3, -1e6]), n=st.integers(2, 200))
def test_regression_as_scikit_learn(seed, shift, n):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n)
    p, weight = y + rng.standard_normal(n), rng.random(n)
    for w in (None, weight):
        assert score("mae", y, p, w) == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w), rel=1e-12)
        assert score("rmse", y, p, w) == pytest.approx(sk.root_mean_squared_error(y, p, sample_weight=w), rel=1e-12)
        assert score("r2", y, p, w) == pytest.approx(sk.r2_score(y, p, sample_weight=w), rel=1e-11)
        moved = score("r2", y + shift, p + shift, w)
        assert moved == pytest.approx(score("r2", y, p, w), rel=1e-7), "a target far from 0 loses nothing to rounding"


def test_undefined_is_nan_and_never_zero():
    ones, p = np.ones(5, dtype=int), np.full((5, 2), 0.5)
    assert math.isnan(score("auc", ones, p))
    assert math.isnan(score("pr_auc", 0 * ones, p))
    assert math.isnan(score("precision", ones, p)), "class 1 is never predicted"
    assert math.isnan(score("recall", 0 * ones, p))
    assert math.isnan(score("f1", 0 * ones, p))
    assert math.isnan(score("r2", np.ones(5), np.arange(5.0)))
    assert math.isnan(score("auc", np.array([0, 1]), p[:2], np.array([0.0, 1.0]))), "weight 0 leaves one class"


def test_what_is_not_a_prediction_is_refused():
    y = np.array([0, 1, 1])
    for bad in (np.ones(3), np.ones((3, 1)), np.ones((2, 2)), np.array([[1, 0], [np.nan, 1], [0, 1]])):
        with pytest.raises(BadData):
            score("accuracy", y, bad)
    with pytest.raises(BadData, match="class codes"):
        score("accuracy", np.array([0, 2, 1]), np.full((3, 2), 0.5))


def test_calibration_error_of_honest_and_of_boastful_probabilities():
    q = np.repeat([0.2, 0.8], 500)
    y = np.concatenate([np.arange(500) % 5 == 0, np.arange(500) % 5 != 0]).astype(int)
    assert score("calibration_error", y, np.column_stack([1 - q, q])) == pytest.approx(0.0, abs=1e-12)
    sure = np.round(q)
    assert score("calibration_error", y, np.column_stack([1 - sure, sure])) == pytest.approx(0.2)


def test_every_metric_keeps_every_promise_and_all_were_found():
    ran = [contract.check_metric(METRICS.load_module(name)) for name in METRICS.names()]
    assert len(ran) == 20
    assert sum(ran) == len(contract.CHECKS) * (10 * 2 + 4 + 2 + 4)
    assert all(name in METRICS.names() for name in DEFAULT_METRIC.values())


def broken(**instead):
    """Mean absolute error, with something put in place of a right part."""
    right = {"HIGHER_IS_BETTER": False, "TASKS": ("regression",), "LABEL": "mae", "MARGIN_UNIT": "% of the loss"}
    mae = METRICS.load("mae")
    return types.SimpleNamespace(**{"__name__": "x.mae", "mae": mae} | right | instead)


MAE = METRICS.load("mae")


def nan_as_zero(y, p, weight=None):
    return MAE(y, np.nan_to_num(p), weight=weight) if len(y) else math.nan


def first_row_counts(y, p, weight=None):
    return MAE(y, p, weight=weight) + (0.001 * y[0] if len(y) else 0.0)


def without_weight(y, p, weight=None):
    return MAE(y, p)


def far_is_good(y, p, weight=None):
    return -MAE(y, p, weight=weight)


drawn = np.random.default_rng(0)


def by_chance(y, p, weight=None):
    return MAE(y, p, weight=weight) + 1e-13 * drawn.random()


class EverySecondCallIsWorse:
    """Its comparisons see the challenger always at the same disadvantage."""

    def __init__(self):
        self.calls = 0

    def __call__(self, y, p, weight=None):
        self.calls += 1
        return MAE(y, p, weight=weight) + 0.01 * (self.calls % 2 == 0)


def writes(y, p, weight=None):
    value = MAE(y, p, weight=weight)
    p += 0.0 if weight is not None else 1e-13
    return value


def all_in_one(y, p, weight=None, group=None, top=10):
    return METRICS.load("ndcg")(y, p, weight=weight, top=top)


BROKEN = {
    contract.check_declarations: broken(MARGIN_UNIT="furlongs"),
    contract.check_nan_is_never_scored: broken(mae=nan_as_zero),
    contract.check_row_order_does_not_matter: broken(mae=first_row_counts),
    contract.check_weight_is_repetition: broken(mae=without_weight),
    contract.check_truth_is_best: broken(mae=far_is_good),
    contract.check_a_model_equals_itself: broken(mae=EverySecondCallIsWorse()),
    contract.check_swapped_models_mirror: broken(mae=EverySecondCallIsWorse()),
    contract.check_same_seed_same_interval: broken(mae=by_chance),
    contract.check_inputs_are_not_changed: broken(mae=writes),
    contract.check_groups_are_ranked_apart: broken(
        __name__="x.ndcg", ndcg=all_in_one, TASKS=("ranking",), HIGHER_IS_BETTER=True
    ),
}
# A metric that gives the same for the same rows cannot break these alone.
NOT_ALONE = {
    contract.check_a_model_equals_itself,
    contract.check_swapped_models_mirror,
    contract.check_same_seed_same_interval,
}


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_each_check_catches_the_metric_that_breaks_it_and_no_other_check_does(check):
    plugin = BROKEN[check]
    (rows,) = (rows for task, rows in contract.example_rows() if task in plugin.TASKS)
    with pytest.raises(AssertionError):
        check(plugin, rows)
    if check not in NOT_ALONE:
        with pytest.raises(AssertionError, match=re.escape(check.__doc__)):
            contract.check_metric(plugin)
        for other in set(contract.CHECKS) - {check}:
            other(plugin, rows)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 40), top=st.integers(1, 12), digits=st.sampled_from([0, 6]))
def test_ndcg_is_scikit_learns_ties_too(seed, n, top, digits):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 4, n).astype(float), np.round(rng.standard_normal(n), digits)
    if y.any():
        found = METRICS.load("ndcg")(y, p, top=top)
        assert found == pytest.approx(sk.ndcg_score(y[None], p[None], k=top), abs=1e-9)


def test_hit_rate_counts_tied_rows_by_their_chance():
    hit_rate = METRICS.load("hit_rate")
    y = np.array([0, 1, 0, 0, 1.0])
    assert hit_rate(y, np.array([5, 4, 3, 2, 1.0]), top=2) == 1.0
    assert hit_rate(y, np.array([5, 3, 4, 2, 1.0]), top=2) == 0.0
    assert hit_rate(y, np.zeros(5), top=2) == pytest.approx(1 - 3 / 10)
    assert math.isnan(hit_rate(y, np.zeros(5), top=5)), "all rows are at the top"
    assert math.isnan(hit_rate(np.zeros(5), np.zeros(5), top=2))


def test_pinball_is_scikit_learns():
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal(50), rng.standard_normal(50)
    found = METRICS.load("pinball")(y, p)
    assert found == pytest.approx(sk.mean_pinball_loss(y, p, alpha=0.9))
    assert METRICS.load("pinball")(y, p, level=0.5) == pytest.approx(np.abs(y - p).mean() / 2)
