"""What is said of rows without labels: of a regression's errors, and of few labels with a second model."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly
from evermodel.core.stats.accuracy_estimate import estimate_from_predictors
from evermodel.core.stats.error_estimate import estimate_error, sum_errors
from evermodel.monitoring.label_suggestions import calibrate_confidence
from tests.monitoring.test_watch import stream
from tests.updating.conftest import adopted, booster, rows  # noqa: F401


def stretch(rng, share, worse=0.0, n=500):
    """Rows of two kinds, the second erring three times as much; ``share`` of it."""
    kinds = (rng.random(n) < share).astype(np.int64)
    return kinds, np.abs(rng.standard_normal(n)) * (1.0 + 2.0 * kinds + worse)


def test_errors_are_foretold_from_the_rows_kinds_and_not_where_that_failed():
    rng = np.random.default_rng(0)
    history = [sum_errors(*stretch(rng, s), 2) for s in (0.1, 0.4, 0.2, 0.5, 0.1, 0.3)]
    kinds, error = stretch(rng, 0.8)
    found, share = estimate_error(kinds, history)
    assert share > 0.8
    assert found.estimated
    assert found.low <= error.mean() <= found.high
    assert abs(found.value - error.mean()) < 0.15
    blind = [sum_errors(k, rng.permutation(e), 2) for k, e in (stretch(rng, s) for s in (0.1, 0.4, 0.2, 0.5, 0.1, 0.3))]
    mixed = [sum_errors(stretch(rng, s)[0], np.abs(rng.standard_normal(500)), 2) for s in (0.1, 0.5, 0.2, 0.6, 0.1)]
    assert estimate_error(kinds, mixed)[0].value == pytest.approx(0.8, abs=0.1), "kinds that tell nothing move nothing"
    assert estimate_error(kinds, history[:3]) is None, "three stretches were not foretold yet"
    assert estimate_error(kinds, blind)[0].high > estimate_error(kinds, blind)[0].low


def test_the_interval_of_foretold_errors_holds():
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        history = [sum_errors(*stretch(rng, rng.random()), 2) for _ in range(8)]
        kinds, error = stretch(rng, rng.random())
        found = estimate_error(kinds, history)[0]
        inside += found.low <= error.mean() <= found.high
    assert inside >= 0.9 * 200


def test_a_second_model_narrows_the_interval_and_it_holds():
    rng, inside, narrower = np.random.default_rng(0), 0, []
    for _ in range(400):
        own, second = rng.beta(4, 2, 5_000), rng.random(5_000)
        right = (rng.random(5_000) < 0.2 * own + 0.8 * (second > 0.3)).astype(float)
        at = rng.choice(5_000, 100, replace=False)
        both = np.column_stack([own, second])
        one, two = (estimate_from_predictors(right[at], t[at], t) for t in (own[:, None], both))
        inside += two.low <= right.mean() <= two.high
        narrower.append((two.high - two.low) / (one.high - one.low))
    assert inside >= 0.925 * 400
    assert np.mean(narrower) < 0.9


def test_confidence_that_foretells_nothing_asks_for_no_rows_in_particular():
    sure = np.array([0.5, 0.99])
    assert calibrate_confidence(sure, None) is sure
    useless = (100.0, 70.0, 80.0, 70.0, 56.0, 66.0)
    assert calibrate_confidence(sure, useless).tolist() == [0.7, 0.7]


def test_a_second_version_is_asked_about_the_rows(adopted):  # noqa: F811
    frame = stream(2000, 60)
    few = frame.with_columns(y=pl.when(pl.int_range(2000) % 10 == 0).then(pl.col("y")))
    found = evermodel.watch("m", few, second="v1", registry=adopted).status.windows[0]
    truth = evermodel.evaluate("m", frame[:1000], registry=adopted).scores["accuracy"]
    guess = found.estimates["accuracy"]
    assert guess.low <= truth <= guess.high
    with pytest.raises(evermodel.core.errors.NotFound):
        evermodel.watch("m", few, second="v9", registry=adopted)


def test_a_regressions_error_is_estimated_where_labels_stop(tmp_path):
    sk = pytest.importorskip("sklearn.linear_model", reason="pip install scikit-learn")

    def world(n, seed, middle=0.0):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(n) + middle
        noise = rng.standard_normal(n) * np.where(x > 0.5, 3.0, 0.5)
        return pl.DataFrame({"x": x, "z": rng.standard_normal(n), "t": 2 * x + noise})

    known = world(2000, 0)
    model = sk.LinearRegression().fit(known.select("x", "z").to_numpy(), known["t"].to_numpy())
    registry = tmp_path / "registry"
    evermodel.adopt(model, data=known, target="t", name="r", registry=registry)
    for i, middle in enumerate((0.0, 0.5, -0.5, 1.0, 0.0, -1.0)):
        evermodel.watch("r", world(1000, 10 + i, middle), registry=registry)
    new = world(1000, 50, 1.0)
    window = evermodel.watch("r", new.drop("t"), registry=registry).status.windows[-1]
    truth = evermodel.evaluate("r", new, registry=registry).scores["mae"]
    guess = window.estimates["mae"]
    assert guess.low <= truth <= guess.high
    assert abs(guess.value - truth) < 0.35
    assert window.metrics == {}
    with pytest.raises(AskedWrongly, match="second model"):
        evermodel.watch("r", new, second="v1", registry=registry)
