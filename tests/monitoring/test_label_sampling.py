"""Rows to ask labels for: drawn with known chances; labels that come back are weighted back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly
from evermodel.core.stats.label_sampling import draw_rows, estimate_share, inclusion_probabilities
from tests.monitoring.test_watch import stream
from tests.updating.conftest import adopted, booster, rows  # noqa: F401


def test_rows_are_drawn_as_often_as_they_were_promised():
    rng = np.random.default_rng(0)
    chance = inclusion_probabilities(rng.random(60) ** 4, 20)
    assert chance.sum() == pytest.approx(20)
    assert 0.05 < chance.min() < chance.max() <= 1.0
    times = np.zeros(60)
    for seed in range(4000):
        at = draw_rows(chance, seed)
        assert len(set(at)) == 20
        times[at] += 1
    np.testing.assert_allclose(times / 4000, chance, atol=0.035)


def test_the_interval_holds_the_truth_of_all_rows_and_the_plain_mean_does_not():
    rng, inside, plain = np.random.default_rng(1), 0, 0
    for seed in range(400):
        sure = 0.5 + rng.beta(6, 1.5, 3000) / 2
        right = (rng.random(3000) < sure**2).astype(float)  # overconfident
        chance = inclusion_probabilities(np.sqrt(sure * (1 - sure)), 200)
        at = draw_rows(chance, seed)
        value, low, high = estimate_share(right[at], chance[at], 3000)
        inside += low <= right.mean() <= high
        naive = right[at].mean()
        plain += abs(naive - right.mean()) <= 1.96 * np.sqrt(naive * (1 - naive) / 200)
        assert low <= value <= high
    assert inside >= 0.92 * 400
    assert plain < inside - 20


def test_where_few_are_wrong_the_interval_reaches_further_towards_the_middle():
    """A share near 1 scatters downwards: around itself the interval held the truth too seldom."""
    for wrong in (6, 194):  # of 200, drawn out of 4,000 with equal chances
        right = np.r_[np.zeros(wrong), np.ones(200 - wrong)]
        value, low, high = estimate_share(right, np.full(200, 0.05), 4_000)
        assert value == pytest.approx(right.mean())
        assert 0.0 < low < value < high < 1.0
        assert (low + high) / 2 == pytest.approx(value + (0.5 - value) * 2 / 202)


def test_labels_that_come_back_speak_for_the_whole_window(adopted, tmp_path):  # noqa: F811
    frame, to = stream(2000, 60), tmp_path / "ask.csv"
    evermodel.watch("m", frame.drop("y"), suggest=100, to=to, registry=adopted)
    ask = pl.read_csv(to)
    assert ask.columns == ["id", "prediction", "probability", "y"]
    assert ask.height == 100
    assert ask["id"].min() >= 1000, "of the newest window"
    answered = ask.drop("y").join(frame.select("id", "y"), on="id")
    answered.write_csv(tmp_path / "answered.csv")
    found = evermodel.watch("m", labels=tmp_path / "answered.csv", registry=adopted).status
    first, window = found.windows
    assert first.metrics == {}
    assert (window.labelled, window.rows) == (100, 1000)
    truth = evermodel.evaluate("m", frame[1000:], registry=adopted).scores
    for name in ("accuracy", "log_loss", "auc"):
        said = window.metrics[name]
        assert said.low <= truth[name] <= said.high, name
    assert found.counters["labels"] == 100
    again = evermodel.watch("m", suggest=100, to=tmp_path / "more.parquet", registry=adopted)
    more = pl.read_parquet(tmp_path / "more.parquet")
    assert not set(more["id"].cast(pl.Int64)) & set(ask["id"]), "no row is asked for twice"
    assert again.status.counters["suggested"] == 200


def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(adopted, tmp_path):  # noqa: F811
    with pytest.raises(AskedWrongly, match="cannot be sampled"):
        evermodel.watch("m", suggest=10, to=tmp_path / "a.csv", registry=adopted)
    with pytest.raises(AskedWrongly, match="needs a file"):
        evermodel.watch("m", suggest=10, registry=adopted)
    with pytest.raises(AskedWrongly, match="`suggest` must be"):
        evermodel.watch("m", suggest=0, to=tmp_path / "a.csv", registry=adopted)
    assert not list(tmp_path.glob("a.csv"))
