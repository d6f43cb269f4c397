"""Rows the champion knows by heart do not judge: its recipe, trained without them, stands for it there."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.model.strategy import Context
from evermodel.registry.lookup import open_store
from evermodel.updating.remembered_rows import read_unseen_rows
from evermodel.updating.verdicts.retention_baseline import (
    LEFT_OUT,
    REPLACED,
    add_retention_baseline,
    predict_retention_rows,
)
from tests.updating.conftest import rows


def noisy(n: int, seed: int) -> pl.DataFrame:
    """A third of the labels by chance: nobody can score well on rows he has not seen."""
    random, frame = np.random.default_rng(seed), rows(n, seed)
    chance = random.random(n) < 0.33
    return frame.with_columns(y=np.where(chance, random.integers(0, 2, n), frame["y"].to_numpy()))


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    """The registry of a booster that has learnt its 3,000 noisy rows by heart, and was adopted with them."""
    import lightgbm

    folder, frame = tmp_path_factory.mktemp("heart"), noisy(3000, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    told = {"objective": "binary", "num_leaves": 63, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    lightgbm.train(told, lightgbm.Dataset(x, frame["y"].to_numpy()), 200).save_model(folder / "m.txt")
    evermodel.adopt(folder / "m.txt", data=frame, target="y", name="m", time="when", registry=folder / "registry")
    return folder / "registry"


def test_a_stand_in_answers_on_rows_known_by_heart_and_on_no_others(by_heart):
    store = open_store(by_heart)
    update_input = read_unseen_rows(store, "m", noisy(1500, 5), (), 0)
    fair = add_retention_baseline(store, update_input, Context(0))
    assert REPLACED in fair.remarks
    past = update_input.retention_rows
    own = predict_retention_rows(update_input.champion, None, past)
    stood = predict_retention_rows(update_input.champion, fair.retention_baseline, past)
    y = past.frame["y"].to_numpy()
    assert (own.argmax(axis=1) == y).mean() > 0.95  # by heart
    assert (stood.argmax(axis=1) == y).mean() < 0.85  # as well as anybody can
    later = dataclasses.replace(past, blocks=np.ones(len(past), dtype=np.int64))
    assert np.array_equal(predict_retention_rows(update_input.champion, fair.retention_baseline, later), own)


def test_a_model_that_cannot_be_trained_anew_leaves_those_rows_out(by_heart):
    store = open_store(by_heart)
    update_input = read_unseen_rows(store, "m", noisy(1500, 5), (), 0)
    refused = dataclasses.replace(
        update_input, replay_rows=update_input.replay_rows.rows(np.zeros(len(update_input.replay_rows), dtype=bool))
    )
    fair = add_retention_baseline(store, refused, Context(0))
    assert LEFT_OUT in fair.remarks
    assert fair.retention_rows is None


def test_enough_past_rows_judge_and_train_nobody(by_heart):
    store = open_store(by_heart)
    update_input = read_unseen_rows(store, "m", noisy(1500, 5), (), 0)
    before = len(update_input.retention_rows)
    fair = add_retention_baseline(store, update_input, Context(0), enough=200)
    assert before < 200 == len(fair.retention_rows)
    assert len(fair.replay_rows) == len(update_input.replay_rows) - (200 - before)
    judged = set(fair.retention_rows.frame.rows())
    assert not judged & set(fair.replay_rows.frame.rows())
    many = add_retention_baseline(store, update_input, Context(0), enough=100_000)
    assert len(many.retention_rows) - before == len(update_input.replay_rows) // 10


def test_a_smaller_model_is_not_rejected_for_what_the_champion_knew_by_heart(by_heart):
    done = evermodel.prune("m", noisy(3000, 5), ratio=0.5, keep_metric=0.01, registry=by_heart)
    assert done.decision == "promote"
    assert any("trained without them answers" in r for r in done.reasons)
    assert done.scores["past"]["accuracy"].champion < 0.85
    tuned = evermodel.tune("m", noisy(1500, 7), trials=2, registry=by_heart)
    if tuned.decision == "promote":  # trained anew: the champion itself answers from now on
        again = evermodel.prune("m", noisy(1500, 8), ratio=0.3, registry=by_heart)
        assert not any("trained without them answers" in r for r in again.reasons)


def test_more_past_rows_are_whole_entities():
    from evermodel.core.data.table import Table
    from evermodel.core.records.column_roles import Roles
    from evermodel.updating.verdicts.retention_baseline import _add_retention_rows

    frame = pl.DataFrame({"who": [f"p{i // 10}" for i in range(1000)], "x": np.arange(1000.0)})
    blocks = np.r_[np.zeros(905), np.ones(95)].astype(np.int64)  # p90 has rows in both blocks
    kept = Table(frame, Roles(entity="who"), blocks)
    past = Table(frame[:20].with_columns(who=pl.lit("old")), Roles(entity="who"), np.zeros(20, dtype=np.int64))
    more, rest = _add_retention_rows(past, kept, 95, 0)
    assert len(more) == 20 + 70
    drawn = set(more.frame["who"]) - {"old"}
    assert not drawn & set(rest.frame["who"])
    assert "p90" not in drawn
