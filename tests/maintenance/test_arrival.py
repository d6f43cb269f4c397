"""What arrives is looked at before training: poison is named, drift is not taken for it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.contracts.suspicious_rows import (
    TELLS,
    bin_column,
    find_first_copies,
    find_noisier_labels,
    find_turned_column,
    measure_leak,
    measure_order,
    measure_repeats,
)
from tests.updating.conftest import rows


def turned_in_a_slice(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(y=pl.when(pl.col("kind") == "red").then(1 - pl.col("y")).otherwise("y"))


def copies(frame: pl.DataFrame) -> pl.DataFrame:
    half = frame.height // 2
    same = pl.concat([frame[:1].drop("when")] * half).with_columns(when=frame["when"][half : 2 * half])
    return pl.concat([frame[:half], same.select(frame.columns)])


def leaking(frame: pl.DataFrame) -> pl.DataFrame:
    noise = np.random.default_rng(0).normal(0, 0.05, frame.height)
    return frame.with_columns(b=pl.col("y") * 10.0 + 5.0 + pl.Series(noise))


@pytest.mark.parametrize(
    ("poison", "says"), [(turned_in_a_slice, "kind is red"), (leaking, "b alone tells")], ids=["slice", "leak"]
)
def test_poison_is_set_aside_in_words(place, poison, says):
    done = evermodel.update("m", poison(rows(1_200, 60)), registry=place.registry)
    assert done.decision == "invalid", done
    assert says in " ".join(done.reasons)
    assert place.champion == "v1"


def test_copies_are_learnt_from_once(place):
    done = evermodel.update("m", copies(rows(800, 61)), registry=place.registry)
    assert "400 of 800 rows are copies" in done.reasons[0]
    assert done.data.rows == 400


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.0])
def test_drift_is_not_taken_for_poison(place, angle):
    done = evermodel.update("m", rows(1_200, 62, angle), registry=place.registry)
    assert done.decision != "invalid", done
    assert "copies" not in done.reasons[0]


def test_repeats_that_are_natural_stay():
    frame = pl.DataFrame({"a": [1, 1, 2, 2] * 50, "when": range(200)})
    assert measure_repeats(frame, ("when",)) > 0.9
    assert find_first_copies(frame, measure_repeats(frame, ("when",)), ("when",)) is None
    assert find_first_copies(frame, 0.0, ("when",)).sum() == 2


def test_order_by_hand():
    y = np.array([0, 1] * 50)
    p = np.column_stack([1 - y, y]).astype(float)
    assert measure_order(y, p)[0] == 1.0
    assert measure_order(y, 1 - p)[0] == -1.0
    assert np.isnan(measure_order(y[:10], p[:10])[0])
    assert measure_order(y * 2.0, y * 3.0 + 1)[0] == pytest.approx(1.0)
    many = np.array([0, 1, 2, 2] * 30)
    assert measure_order(many, np.eye(3)[many])[0] == 1.0


def test_labels_that_are_wrong_only_where_one_learns_are_seen():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 1_000)
    score = np.clip(0.5 + (y - 0.5) * 0.6 + random.normal(0, 0.2, 1_000), 0, 1)
    p, first = np.column_stack([1 - score, score]), np.arange(1_000) < 700
    assert find_noisier_labels(y, p, first) is None
    wrong = np.where(first & (random.random(1_000) < 0.4), 1 - y, y)
    assert "contradict" in str(find_noisier_labels(wrong, p, first))
    assert find_turned_column(y, p, pl.Series("x", random.normal(size=1_000))) is None


def test_what_a_column_tells():
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 2_000)
    assert measure_leak(pl.Series("noise", random.normal(size=2_000)), y, 2) < 0.02
    assert measure_leak(pl.Series("answer", y + random.normal(0, 0.01, 2_000)), y, 2) > 0.9
    assert measure_leak(pl.Series("word", np.where(y == 1, "yes", "no")), y, 2) > 0.9
    assert measure_leak(pl.Series("number", y * 3.0 + 0.1 * random.normal(size=2_000)), y.astype(float), 0) > 0.9


def test_bins_name_what_they_hold():
    codes, names = bin_column(pl.Series("x", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, None]), 4)
    assert names[-1] == "missing"
    assert codes[-1] == len(names) - 1
    assert len(set(codes[:8])) == 4


def _three_classes(seed=5, n=1200):
    """Labels, the cell of a column, and answers that put each class before the others."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    cell = np.where(y == 0, random.choice(["a", "b"], n, p=[0.9, 0.1]), random.choice(["a", "b"], n, p=[0.1, 0.9]))
    scores = np.eye(3)[y] + random.normal(0, 0.4, (n, 3))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return y, pl.Series("cell", cell), p


def test_a_class_that_drift_makes_look_like_another_is_not_turned_round():
    """None is right where it is at home, and still its rows are likelier of it than others are."""
    y, cell, p = _three_classes()
    drifted = p * np.array([0.05, 1.0, 1.0])
    drifted /= drifted.sum(axis=1, keepdims=True)
    inside = (cell == "a").to_numpy()
    assert (drifted.argmax(axis=1) == y)[inside].mean() < 0.3
    assert find_turned_column(y, drifted, cell) is None
    assert find_turned_column(np.where(inside, (y + 1) % 3, y), p, cell) is not None, (
        "labels of the cell, each another's"
    )


def test_a_column_that_tells_much_is_not_yet_the_answer():
    random = np.random.default_rng(6)
    y = random.integers(0, 3, 900)
    half = pl.Series(
        "x", np.where(random.random(900) < 0.8, y, random.integers(0, 3, 900)) + random.normal(0, 0.05, 900)
    )
    assert 0.5 < measure_leak(half, y, 3) < TELLS < measure_leak(pl.Series("x", y + random.normal(0, 0.02, 900)), y, 3)
