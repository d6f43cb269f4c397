"""Rows that are given a second time: new once more where the champion has not learnt from them, else the known rows."""

from __future__ import annotations

import polars as pl
import pytest

import evermodel
from evermodel.judging.judge_request import share_confidence
from evermodel.registry.lookup import open_store
from evermodel.registry.row_memory import read_memory
from evermodel.updating.update import UpdateRequest, update_model
from evermodel.updating.update_input import NothingNew
from tests.updating.conftest import rows

ONE_TREE = {"strategy": "refit", "settings": {"epochs": 1}}  # worse than thirty
AGAIN = "were given before and have judged"


@pytest.fixture
def rejected(adopted):
    """The registry after an update whose challenger was rejected."""
    result = evermodel.update("m", rows(1500, 3), registry=adopted, **ONE_TREE)
    assert result.decision == "reject"
    return adopted


def blocks(registry):
    return [(b.number, b.n_rows + b.n_past, b.n_judged) for b in read_memory(open_store(registry), "m").blocks]


def test_another_strategy_is_tried_on_the_same_rows(rejected):
    before = blocks(rejected)
    assert before == [(0, 3000, 1), (1, 1500, 1)]
    result = evermodel.update("m", rows(1500, 3), registry=rejected, strategy="refit", settings={"epochs": 2})
    assert (result.challenger, result.decision) == ("v3", "reject")
    assert any(f"{AGAIN} a challenger. v1 has not learnt" in reason for reason in result.reasons)
    assert result.data.rows == 1500
    assert blocks(rejected) == [(0, 3000, 1), (1, 1500, 2)], "remembered once"
    third = evermodel.update("m", rows(1500, 3), registry=rejected, dry_run=True, **ONE_TREE)
    assert any(f"{AGAIN} 2 challengers" in reason for reason in third.reasons)


def test_the_judge_is_stricter_each_time(rejected):
    (comparison,) = (c for c in _verdict(evermodel.update("m", rows(1500, 3), registry=rejected, **ONE_TREE), rejected))
    assert comparison.confidence > 0.97, "95 % before"
    assert share_confidence(0) == 0.95
    assert share_confidence(1) == pytest.approx(0.975)
    assert share_confidence(1_000) == 0.999


def _verdict(result, registry):
    card = open_store(registry).read_card("m", result.challenger)
    return [c for c in card.update.verdict.comparisons if c.metric == "auc"]


def test_they_may_come_with_newer_ones(rejected):
    both = pl.concat([rows(1500, 3), rows(900, 4)])
    result = evermodel.update("m", both, registry=rejected, strategy="recalibrate")
    assert result.data.rows == 2400
    assert blocks(rejected) == [(0, 3000, 1), (1, 2400, 2)]


def test_a_part_of_them_is_known(rejected):
    with pytest.raises(NothingNew, match="All 700 rows were known before"):
        evermodel.update("m", rows(1500, 3)[:700], registry=rejected)
    assert blocks(rejected) == [(0, 3000, 1), (1, 1500, 1)]


def test_what_the_champion_learnt_from_is_known(adopted):
    result = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    assert result.decision == "promote"
    with pytest.raises(NothingNew, match="nothing new to learn from"):
        evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    with pytest.raises(NothingNew):
        evermodel.update("m", rows(3000, 2), registry=adopted)


def test_after_a_rollback_they_are_new_again(adopted):
    assert evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted).decision == "promote"
    evermodel.rollback("m", registry=adopted)
    result = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted, strategy="recalibrate")
    assert any(AGAIN in reason for reason in result.reasons)


def test_a_schedule_never_learns_from_a_delivery_twice(rejected):
    with pytest.raises(NothingNew):
        update_model(open_store(rejected), "m", rows(1500, 3), UpdateRequest())


def test_a_held_challenger_is_not_judged_by_rows_that_it_learnt_from(adopted):
    few = rows(120, 5, angle=0.05)
    held = evermodel.update("m", few, registry=adopted, policy="better")
    assert held.decision == "hold"
    again = evermodel.update("m", few, registry=adopted, policy="better", strategy="recalibrate")
    assert again.rejudged is None
    assert any(AGAIN in reason for reason in again.reasons)


def test_pruning_and_tuning_use_known_rows_and_say_so(adopted):
    assert evermodel.update("m", rows(4000, 3, angle=0.9), registry=adopted).decision == "promote"
    pruned = evermodel.prune("m", rows(4000, 3, angle=0.9), ratio=0.3, registry=adopted)
    assert any("All 4,000 rows were known before: half of the rows kept out" in reason for reason in pruned.reasons)
    tuned = evermodel.tune("m", rows(4000, 3, angle=0.9), trials=2, registry=adopted)
    assert any("All 4,000 rows were known before: the deployed recipe" in reason for reason in tuned.reasons)
    for result in (pruned, tuned):  # nothing says that rows known before were new
        told = "\n".join([*result.lines(), *result.reasons])
        assert "held-out rows" in told and "new rows" not in told.replace("No new rows came", ""), told


def test_where_levels_moved_recalibrating_is_advised(adopted):
    often = rows(1500, 3).filter(
        (pl.col("y") == 1) | (pl.int_range(pl.len()) % 8 == 0)
    )  # the same order, another base rate
    result = evermodel.update("m", often, registry=adopted, **ONE_TREE)
    assert result.decision == "reject"
    (advice,) = (reason for reason in result.reasons if reason.startswith("Recalibrating v1 alone does better"))
    assert "log loss fell" in advice
    tried = evermodel.update("m", often, registry=adopted, strategy="recalibrate")
    assert tried.decision == "promote"
    assert not any(reason.startswith("Recalibrating") for reason in tried.reasons)
