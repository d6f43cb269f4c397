"""What is kept to be drawn: small, and true to the predictions."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from evermodel.core.stats.curve_points import compute_precision_recall_points, compute_roc_points
from evermodel.judging.diagnostics import BINS, calibration_bins, compute_figures
from evermodel.plugins.metrics.auc import auc
from tests.reports.conftest import pair_of


@pytest.mark.parametrize("n", [40, 3_000, 60_000])
def test_a_thinned_roc_keeps_the_area_under_it(n):
    rng = np.random.default_rng(n)
    y = rng.random(n) < 0.3
    q = 1 / (1 + np.exp(-rng.normal(y * 1.3, 1)))
    points = compute_roc_points(y, q)
    assert len(points) <= 100
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
    assert abs(np.trapezoid(points[:, 1], points[:, 0]) - auc(y.astype(int), np.column_stack([1 - q, q]))) < 0.002


def test_equal_scores_are_one_step():
    assert compute_roc_points(np.array([True, False, True]), np.ones(3)).tolist() == [[0, 0], [1, 1]]


def test_a_curve_of_one_class_is_not_drawn():
    assert compute_roc_points(np.ones(5, bool), np.arange(5.0)).shape == (0, 2)
    assert compute_precision_recall_points(np.zeros(5, bool), np.arange(5.0)).shape == (0, 2)


def test_precision_and_recall_end_at_all_rows():
    y = np.array([True, True, False, False])
    points = compute_precision_recall_points(y, np.array([0.9, 0.4, 0.6, 0.1]))
    assert points[0].tolist() == [0, 1] and points[-1].tolist() == [1, 0.5]


def test_calibration_bins_hold_every_row_once_and_the_truth():
    rng = np.random.default_rng(0)
    said = rng.random(1_003)
    bins = calibration_bins(rng.random(1_003) < said, said)
    assert len(bins) == BINS and sum(b.n for b in bins) == 1_003
    inside = sum(b.low <= b.stated <= b.high for b in bins)
    assert inside >= 8


@pytest.mark.parametrize(("task", "k"), [("binary", 2), ("multiclass", 43), ("multiclass", 60), ("regression", 0)])
def test_figures_are_small_json_without_nan(task, k):
    text = json.dumps(dataclasses.asdict(compute_figures(pair_of(task, k=k, n=4_000, slices=["a=1"]))), allow_nan=False)
    assert len(text) < 40_000


def test_a_confusion_matrix_counts_the_rows_of_each_model():
    pair = pair_of("multiclass", k=5)
    told = compute_figures(pair, list("abcde"))
    counts = np.array(told.confusion.counts["challenger"])
    assert counts.sum() == len(pair.new) and told.labels == tuple("abcde")
    answers = pair.new.challenger.argmax(axis=1)
    assert counts[1, 2] == ((pair.new.y == 1) & (answers == 2)).sum()
    assert np.trace(counts) == told.confusion.right["challenger"]


def test_many_classes_are_told_by_their_commonest_confusions():
    told = compute_figures(pair_of("multiclass", k=60)).confusion
    assert not told.counts and 0 < len(told.common) <= 20
    total = [c.champion + c.challenger for c in told.common]
    assert total == sorted(total, reverse=True)


def test_rows_that_cannot_be_scored_have_no_picture():
    pair = pair_of("regression")
    broken = pair.new.challenger.copy()
    broken[3] = np.nan
    assert compute_figures(dataclasses.replace(pair, new=dataclasses.replace(pair.new, challenger=broken))) is None


def test_a_slice_has_its_own_score():
    pair = pair_of("binary", slices=["a=1", "a=2"])
    told = compute_figures(pair).slices
    assert [s.slice for s in told] == ["a=1", "a=2"]
    inside = pair.new.slices["a=1"]
    assert told[0].n == inside.sum()
    assert told[0].champion == pytest.approx(auc(pair.new.y[inside], pair.new.champion[inside]), abs=1e-5)
