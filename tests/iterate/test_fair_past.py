"""Rows the champion knows by heart do not judge: its recipe, trained without them, stands for it there."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.change import Context
from evermodel.loop.fair_past import LEFT_OUT, STOOD, past_answers, with_fair_past
from evermodel.loop.home import open_home
from evermodel.loop.unseen import prepare_unseen
from tests.loop.conftest import rows


def noisy(n: int, seed: int) -> pl.DataFrame:
    """A third of the labels by chance: nobody can score well on rows he has not seen."""
    random, frame = np.random.default_rng(seed), rows(n, seed)
    chance = random.random(n) < 0.33
    return frame.with_columns(y=np.where(chance, random.integers(0, 2, n), frame["y"].to_numpy()))


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    """The home of a booster that has learnt its 3,000 noisy rows by heart, and was adopted with them."""
    import lightgbm

    folder, frame = tmp_path_factory.mktemp("heart"), noisy(3000, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    told = {"objective": "binary", "num_leaves": 63, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    lightgbm.train(told, lightgbm.Dataset(x, frame["y"].to_numpy()), 200).save_model(folder / "m.txt")
    evermodel.adopt(folder / "m.txt", data=frame, target="y", name="m", time="when", home=folder / "home")
    return folder / "home"


def test_a_stand_in_answers_on_rows_known_by_heart_and_on_no_others(by_heart):
    store = open_home(by_heart)
    prepared = prepare_unseen(store, "m", noisy(1500, 5), (), 0)
    fair = with_fair_past(store, prepared, Context(0))
    assert STOOD in fair.remarks
    past = prepared.past
    own = past_answers(prepared.champion, None, past)
    stood = past_answers(prepared.champion, fair.past_champion, past)
    y = past.frame["y"].to_numpy()
    assert (own.argmax(axis=1) == y).mean() > 0.95  # by heart
    assert (stood.argmax(axis=1) == y).mean() < 0.85  # as well as anybody can
    later = dataclasses.replace(past, blocks=np.ones(len(past), dtype=np.int64))
    assert np.array_equal(past_answers(prepared.champion, fair.past_champion, later), own)


def test_a_model_that_cannot_be_trained_anew_leaves_those_rows_out(by_heart):
    store = open_home(by_heart)
    prepared = prepare_unseen(store, "m", noisy(1500, 5), (), 0)
    refused = dataclasses.replace(prepared, kept=prepared.kept.rows(np.zeros(len(prepared.kept), dtype=bool)))
    fair = with_fair_past(store, refused, Context(0))
    assert LEFT_OUT in fair.remarks
    assert fair.past is None


def test_enough_past_rows_judge_and_train_nobody(by_heart):
    store = open_home(by_heart)
    prepared = prepare_unseen(store, "m", noisy(1500, 5), (), 0)
    before = len(prepared.past)
    fair = with_fair_past(store, prepared, Context(0), enough=200)
    assert before < 200 == len(fair.past)
    assert len(fair.kept) == len(prepared.kept) - (200 - before)
    judged = set(fair.past.frame.rows())
    assert not judged & set(fair.kept.frame.rows())
    many = with_fair_past(store, prepared, Context(0), enough=100_000)
    assert len(many.past) - before == len(prepared.kept) // 10


def test_a_smaller_model_is_not_rejected_for_what_the_champion_knew_by_heart(by_heart):
    done = evermodel.prune("m", noisy(3000, 5), ratio=0.5, keep_metric=0.01, home=by_heart)
    assert done.decision == "promote"
    assert any("stands for the champion" in r for r in done.reasons)
    assert done.scores["past"]["accuracy"].champion < 0.85
    tuned = evermodel.tune("m", noisy(1500, 7), trials=2, home=by_heart)
    if tuned.decision == "promote":  # trained anew: the champion itself answers from now on
        again = evermodel.prune("m", noisy(1500, 8), ratio=0.3, home=by_heart)
        assert not any("stands for the champion" in r for r in again.reasons)


def test_more_past_rows_are_whole_entities():
    from evermodel.core.table import Roles, Table
    from evermodel.loop.fair_past import _with_more_past

    frame = pl.DataFrame({"who": [f"p{i // 10}" for i in range(1000)], "x": np.arange(1000.0)})
    blocks = np.r_[np.zeros(905), np.ones(95)].astype(np.int64)  # p90 has rows in both blocks
    kept = Table(frame, Roles(entity="who"), blocks)
    past = Table(frame[:20].with_columns(who=pl.lit("old")), Roles(entity="who"), np.zeros(20, dtype=np.int64))
    more, rest = _with_more_past(past, kept, 95, 0)
    assert len(more) == 20 + 70
    drawn = set(more.frame["who"]) - {"old"}
    assert not drawn & set(rest.frame["who"])
    assert "p90" not in drawn
