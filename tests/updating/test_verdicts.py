"""What an update says and does by the policies: headlines, refit checks, rows that the champion learnt, first skill."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.records.update_record import RefitCheck
from evermodel.registry.lookup import open_store
from evermodel.registry.update_result import describe_refit_check
from evermodel.updating.verdicts.refit_check import measure_difference
from tests.cli.ground import ask
from tests.updating.conftest import rows


def test_the_headline_is_what_the_rows_showed_and_is_stored_so(adopted):
    done = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    assert done.decision == "promote"
    assert "better beyond doubt by log loss" in done.headline and "(policy no_worse)" in done.headline
    stored = open_store(adopted).read_card("m", done.challenger).update
    assert (stored.metric, stored.primary, stored.verdict.policy) == ("auc", "log_loss", "no_worse")
    assert stored.verdict.graded == done.graded
    assert stored.primary_evidence.metric == "log_loss" and stored.evidence.metric == "auc"
    assert json.loads(done.to_json())["graded"][0]["grade"] == "better"
    held = evermodel.update("m", rows(120, 4, angle=0.9), registry=adopted)
    assert held.graded[0].grade == "inconclusive", "120 rows"
    assert f"against {held.champion}: neither better nor worse beyond doubt by log loss" in held.headline


def test_the_refit_model_is_checked_and_the_check_is_printed(adopted):
    done = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    check = done.refit_check
    assert done.refit and check.stores_refit and 0 < check.difference < check.limit and check.rows == 450
    assert "  checked  the model refit on all rows answers the judged rows" in str(done)
    assert open_store(adopted).read_card("m", done.challenger).update.refit_check == check
    other = RefitCheck(0.6, 0.25, 450, None, stores_refit=False)
    assert "the judged model is stored" in describe_refit_check(other)
    one, far = np.array([[0.9, 0.1]] * 4), np.array([[0.1, 0.9]] * 4)
    assert measure_difference(one, one, np.zeros(4), "binary") == 0.0
    assert measure_difference(one, far, np.zeros(4), "binary") == pytest.approx(0.8)
    y = np.arange(4.0)
    assert measure_difference(y, y + y.std(), y, "regression") == pytest.approx(1.0)


def test_a_refit_model_that_is_another_one_is_not_stored(adopted, monkeypatch):
    monkeypatch.setattr("evermodel.updating.verdicts.refit_check.LIMIT", {"binary": 0.0})
    done = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    assert done.decision == "promote" and not done.refit and not done.refit_check.stores_refit
    assert "the judged model is stored, without refitting" in str(done)


def test_rows_that_the_champion_was_trained_on_are_shown_and_judge_nothing(adopted):
    first = evermodel.update("m", rows(1500, 3, angle=0.9), registry=adopted)
    assert "in_sample" in first.scores and "past" not in first.scores
    assert "rows that the champion was trained on: shown, not judged by" in str(first)
    second = evermodel.update("m", rows(1500, 4, angle=1.0), registry=adopted)
    assert "past" in second.scores and "in_sample" not in second.scores


def test_wrong_labels_in_the_whole_first_block_are_found_by_the_skill_of_the_adoption(adopted):
    new = rows(1500, 3)
    wrong = pl.Series(np.random.default_rng(0).random(1500) < 0.45)
    spoilt = new.with_columns(y=pl.when(wrong).then(1 - pl.col("y")).otherwise("y"))
    done = evermodel.update("m", spoilt, registry=adopted)
    assert done.decision == "invalid" and "usually it removes" in done.reasons[0]
    assert evermodel.update("m", rows(1500, 4), registry=adopted).decision != "invalid"


def block_of_two_parts(learnt: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """1,050 rows to learn from, then 450 that judge: an update takes the newest 30 % for these."""
    return pl.concat([learnt[:1050], judged[:450]]).with_columns(when=pl.int_range(300_000, 301_500))


def test_rows_of_a_new_kind_to_learn_from_are_not_taken_for_wrong_labels(adopted):
    """As where new topics come: the champion cannot order such rows, and they are fewer among those that judge."""

    def mix(seed: int, share: float) -> pl.DataFrame:
        new_kind = pl.Series(np.random.default_rng(seed).random(1500) < share)
        turned, usual = rows(1500, seed, angle=np.pi).with_columns(pl.col("b") + 100.0), rows(1500, seed + 1)
        columns = [pl.when(new_kind).then(turned[name]).otherwise(usual[name]).alias(name) for name in usual.columns]
        return pl.select(columns)

    done = evermodel.update("m", block_of_two_parts(mix(3, 0.95), mix(5, 0.25)), registry=adopted)
    assert done.decision == "promote", str(done)
    told = [reason for reason in done.reasons if "rows of a new kind and not for wrong ones" in reason]
    assert len(told) == 1 and "contradict the model" in told[0]


def test_wrong_labels_in_the_learnt_rows_alone_are_still_suspect(adopted):
    sound, learnt = rows(1500, 5), rows(1500, 3)
    wrong = pl.Series(np.random.default_rng(0).random(1500) < 0.4)
    spoilt = learnt.with_columns(y=pl.when(wrong).then(1 - pl.col("y")).otherwise("y"))
    done = evermodel.update("m", block_of_two_parts(spoilt, sound), registry=adopted)
    assert done.decision == "invalid" and "contradict the model" in done.reasons[0]


def test_policies_margins_and_gates_come_from_the_command_line(adopted, tmp_path):
    file = tmp_path / "new.csv"
    rows(1500, 3, angle=0.9).write_csv(file)
    asked = ["update", "m", str(file), "--dry-run", "--json"]
    plain = json.loads(ask(asked, adopted).out)
    assert (plain["policy"], plain["metric"]) == ("no_worse", "auc")
    given = ["--policy", "better", "--margin", "auc=3", "--margin", "log_loss=4", "--gate", "negative_flips.at_most=0"]
    strict = ask([*asked, *given], adopted)
    answer = json.loads(strict.out)
    assert (answer["policy"], answer["decision"], strict.code) == ("better", "reject", 11)
    assert any("were right and are now wrong" in reason for reason in answer["reasons"])
    for wrong, says in (
        (["--margin", "f1=1"], "No margin of 'f1'"),
        (["--margin", "much"], "--margin takes NUMBER"),
        (["--margin", "1", "--margin", "2"], "can be given once"),
        (["--gate", "slices=no"], "--gate takes GATE"),
        (["--gate", "nosuch"], "nosuch"),
        (["--policy", "newest"], "newest"),
    ):
        refused = ask([*asked[:3], *wrong], adopted)
        assert refused.code == 2 and says in refused.err, wrong
        assert "Traceback" not in refused.err
    off = json.loads(ask([*asked, "--gate", "guard=off", "--gate", "slices=off"], adopted).out)
    assert off["decision"] == "promote"
