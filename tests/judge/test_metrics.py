"""The metrics against scikit-learn, and every metric against the laws."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evermodel.core import plugs
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.errors import BadData
from evermodel.laws.metrics import LAWS, check_metric

sk = pytest.importorskip("sklearn.metrics")
CLASSIFYING = [n for n in plugs.names("metrics") if "binary" in plugs.module("metrics", n).TASKS]


def score(name, y, p, weight=None):
    return plugs.function("metrics", name)(y, p, weight=weight)


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


def test_every_metric_obeys_the_laws_and_all_were_found():
    ran = [check_metric(plugs.module("metrics", name)) for name in plugs.names("metrics")]
    assert len(ran) == 16
    assert sum(ran) == len(LAWS) * (10 * 2 + 4 + 2)
    assert all(name in plugs.names("metrics") for name in DEFAULT_METRIC.values())


def broken(**instead):
    """Mean absolute error, with something put in place of a right part."""
    right = {"HIGHER_IS_BETTER": False, "TASKS": ("regression",), "LABEL": "mae", "MARGIN_UNIT": "% of the loss"}
    mae = plugs.function("metrics", "mae")
    return types.SimpleNamespace(**{"__name__": "x.mae", "mae": mae} | right | instead)


def nan_as_zero(y, p, weight=None):
    return plugs.function("metrics", "mae")(y, np.nan_to_num(p), weight=weight) if len(y) else 0.0


def by_order(y, p, weight=None):
    return (
        float(np.average(np.abs(p - y) * np.arange(1, len(y) + 1), weights=weight)) if np.isfinite(p).all() else _no()
    )


def _no():
    raise BadData("not finite")


def without_weight(y, p, weight=None):
    return plugs.function("metrics", "mae")(y, p)


def far_is_good(y, p, weight=None):
    return -plugs.function("metrics", "mae")(y, p, weight=weight)


drawn = np.random.default_rng(0)


def by_chance(y, p, weight=None):
    return plugs.function("metrics", "mae")(y, p, weight=weight) + (1e-13 * drawn.random() if len(y) else 0.0)


def writing(y, p, weight=None):
    value = plugs.function("metrics", "mae")(y, p, weight=weight)
    p += 0.0 if weight is not None else 1e-13
    return value


def all_in_one(y, p, weight=None, group=None, top=10):
    return plugs.function("metrics", "ndcg")(y, p, weight=weight, top=top)


@pytest.mark.parametrize(
    ("plug", "law"),
    [
        (broken(MARGIN_UNIT="furlongs"), "declares"),
        (broken(mae=nan_as_zero), "never 0"),
        (broken(mae=by_order), "Permuting"),
        (broken(mae=without_weight), "weight two"),
        (broken(mae=far_is_good), "truth"),
        (broken(mae=by_chance), "itself"),
        (broken(mae=writing), "written|itself"),
        (broken(__name__="x.ndcg", ndcg=all_in_one, TASKS=("ranking",), HIGHER_IS_BETTER=True), "groups"),
    ],
)
def test_each_law_catches_a_broken_metric(plug, law):
    with pytest.raises(AssertionError, match=law):
        check_metric(plug)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 40), top=st.integers(1, 12), digits=st.sampled_from([0, 6]))
def test_ndcg_is_scikit_learns_ties_too(seed, n, top, digits):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 4, n).astype(float), np.round(rng.standard_normal(n), digits)
    if y.any():
        found = plugs.function("metrics", "ndcg")(y, p, top=top)
        assert found == pytest.approx(sk.ndcg_score(y[None], p[None], k=top), abs=1e-9)


def test_hit_rate_counts_tied_rows_by_their_chance():
    hit_rate = plugs.function("metrics", "hit_rate")
    y = np.array([0, 1, 0, 0, 1.0])
    assert hit_rate(y, np.array([5, 4, 3, 2, 1.0]), top=2) == 1.0
    assert hit_rate(y, np.array([5, 3, 4, 2, 1.0]), top=2) == 0.0
    assert hit_rate(y, np.zeros(5), top=2) == pytest.approx(1 - 3 / 10)
    assert math.isnan(hit_rate(y, np.zeros(5), top=5)), "all rows are at the top"
    assert math.isnan(hit_rate(np.zeros(5), np.zeros(5), top=2))


def test_pinball_is_scikit_learns():
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal(50), rng.standard_normal(50)
    found = plugs.function("metrics", "pinball")(y, p)
    assert found == pytest.approx(sk.mean_pinball_loss(y, p, alpha=0.9))
    assert plugs.function("metrics", "pinball")(y, p, level=0.5) == pytest.approx(np.abs(y - p).mean() / 2)
