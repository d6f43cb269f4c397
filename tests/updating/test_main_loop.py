"""Adopt, update, judge, promote, roll back: on real models, from end to end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadData, BadModel, ContractBroken, Moved, NoData, NotFound
from evermodel.registry.lookup import open_store
from evermodel.registry.row_memory import read_memory
from tests.updating.conftest import rows


def test_a_stale_model_is_updated_and_promoted(adopted):
    done = evermodel.update("m", rows(1500, 3, angle=1.2), registry=adopted)
    assert (done.decision, done.champion, done.challenger, done.in_service) == ("promote", "v1", "v2", "v2")
    new = done.scores["new"]["auc"]
    assert new.difference == pytest.approx(new.challenger - new.champion)
    assert new.low < new.difference < new.high
    before = evermodel.evaluate("m", rows(1500, 4, angle=1.2), version="v1", registry=adopted)
    after = evermodel.evaluate("m", rows(1500, 4, angle=1.2), registry=adopted)
    assert after.scores["auc"] > before.scores["auc"] + 0.05
    assert [c.strategy for c in done.candidates][:2] == ["none", "recalibrate"]


def test_the_json_has_what_is_promised(adopted):
    done = json.loads(evermodel.update("m", rows(400, 3), registry=adopted).to_json())
    asked = {
        "decision",
        "champion",
        "challenger",
        "strategy",
        "scores",
        "reasons",
        "rows_needed",
        "candidates",
        "seconds",
    }
    assert asked <= set(done)


def test_a_challenger_without_a_gain_is_not_promoted_by_name(adopted):
    done = evermodel.update("m", rows(300, 5), strategy="refit", settings={"window": 1}, registry=adopted)
    assert done.decision in ("hold", "reject")
    assert done.in_service == "v1"
    assert done.challenger == "v2"


def test_rollback_goes_back_and_back(adopted):
    for seed in (3, 4):
        assert evermodel.update("m", rows(1500, seed, angle=0.3 * seed), registry=adopted).decision == "promote"
    assert evermodel.rollback("m", registry=adopted).version == "v2"
    assert evermodel.rollback("m", registry=adopted).version == "v1"
    with pytest.raises(AskedWrongly, match="nothing to go back to"):
        evermodel.rollback("m", registry=adopted)
    assert evermodel.promote("m", "v3", registry=adopted).was == "v1"
    with pytest.raises(NotFound, match="There is: v1, v2, v3"):
        evermodel.promote("m", "v9", registry=adopted)


def test_judge_moves_nothing(adopted):
    evermodel.update("m", rows(1500, 3, angle=1.2), registry=adopted)
    judged = evermodel.judge("m", "v1", rows(1200, 6, angle=1.2), registry=adopted)
    assert judged.decision == "reject"
    assert evermodel.show("m", registry=adopted).rows[1]["serving"] == "*"
    with pytest.raises(AskedWrongly, match="champion itself"):
        evermodel.judge("m", "v2", registry=adopted)


def test_rows_that_the_champion_learnt_from_are_no_evidence(adopted):
    new = rows(1500, 3, angle=1.2)
    assert evermodel.update("m", new, registry=adopted).decision == "promote"
    with pytest.raises(NoData, match="known before"):
        evermodel.update("m", new, registry=adopted)


def test_dry_run_changes_nothing(adopted):
    done = evermodel.update("m", rows(1500, 3, angle=1.2), dry_run=True, registry=adopted)
    assert done.decision == "promote"
    store = open_store(adopted)
    assert (store.resolve_alias("m", "champion"), len(store.list_cards("m")), len(store.read_events("m"))) == (
        "v1",
        1,
        1,
    )


def test_judged_rows_are_never_trained_on_before_the_verdict(adopted, monkeypatch):
    from evermodel.updating import trained_candidate as making

    seen = {}
    real = making.train_candidate

    def spy(recipe, update_input, context):
        seen["trained"] = set(update_input.split().new_rows.frame["when"]) | set(
            update_input.split().replay_rows.frame["when"]
        )
        seen["judged"] = set(update_input.judged_rows.frame["when"])
        seen["past"] = set(update_input.retention_rows.frame["when"])
        return real(recipe, update_input, context)

    monkeypatch.setattr("evermodel.updating.trained_candidate.train_candidate", spy)
    evermodel.update("m", rows(500, 3), registry=adopted)
    assert not seen["trained"] & (seen["judged"] | seen["past"])
    newest = sorted(rows(500, 3)["when"])[-150:]
    assert seen["judged"] == set(newest)


def test_predict_keeps_every_row_in_order(adopted, tmp_path):
    frame = rows(50, 7).drop("y").with_columns(id=pl.Series([f"r{i}" for i in range(50)][::-1]))
    frame[7, "a"] = None
    frame[8, "kind"] = "violet"
    done = evermodel.predict_file("m", frame, to=tmp_path / "p.csv", registry=adopted)
    found = pl.read_csv(tmp_path / "p.csv")
    assert found["id"].to_list() == frame["id"].to_list()
    assert done.columns == ("id", "prediction", "p_0", "p_1")
    assert found.select("p_0", "p_1").sum_horizontal().to_numpy() == pytest.approx(np.ones(50), abs=1e-5)


def test_a_saved_model_is_the_champion(adopted, tmp_path):
    import lightgbm

    saved = evermodel.save("m", to=tmp_path / "updated.txt", registry=adopted)
    assert lightgbm.Booster(model_file=saved.files[0]).num_trees() == 30
    again = evermodel.adopt(
        saved.files[0],
        data=rows(1500, 2),
        target="y",
        name="again",
        time="when",
        transform=saved.files[1],
        registry=adopted,
    )
    evermodel.predict_file("m", rows(60, 9), to=tmp_path / "a.parquet", registry=adopted)
    evermodel.predict_file(again.name, rows(60, 9), to=tmp_path / "b.parquet", registry=adopted)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(pl.read_parquet(tmp_path / "b.parquet"))


def test_new_categories_get_new_codes_and_old_rows_keep_theirs(adopted):
    new = rows(1500, 3, angle=1.2)
    new = new.with_columns(kind=pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("amber")).otherwise("kind"))
    before = evermodel.evaluate("m", rows(800, 8), registry=adopted).scores["auc"]
    done = evermodel.update("m", new, registry=adopted)
    assert any("amber" in str(d) for d in done.data.differences)
    assert evermodel.evaluate("m", rows(800, 8), version="v1", registry=adopted).scores["auc"] == before


def test_a_column_in_another_unit_is_an_incident(adopted):
    with pytest.raises(ContractBroken, match="b"):
        evermodel.update("m", rows(500, 3).with_columns(b=pl.col("b") * 1000), registry=adopted)
    assert len(open_store(adopted).read_events("m")) == 1


def test_wrong_labels_are_set_aside_and_tried_again(adopted):
    evermodel.update("m", rows(1500, 3), registry=adopted)
    poisoned = rows(600, 4)
    noise = pl.Series(np.random.default_rng(0).integers(0, 2, 600))
    done = evermodel.update("m", poisoned.with_columns(y=noise), registry=adopted)
    assert done.decision == "invalid"
    memory = read_memory(open_store(adopted), "m")
    assert (len(memory.blocks), len(memory.quarantined)) == (2, 1)
    evermodel.update("m", rows(3000, 5), registry=adopted)
    assert read_memory(open_store(adopted), "m").quarantined == ()


def test_a_model_that_knows_nothing_of_these_rows_is_refused(booster, tmp_path):
    noise = rows(1500, 2).with_columns(y=pl.Series(np.random.default_rng(0).integers(0, 2, 1500)))
    with pytest.raises(BadModel, match="trivial baseline"):
        evermodel.adopt(booster, data=noise, target="y", name="m", time="when", registry=tmp_path / "h")
    assert open_store(tmp_path / "h").list_models() == []


def test_one_class_cannot_judge(adopted):
    with pytest.raises(BadData, match="one class"):
        evermodel.update("m", rows(300, 3).with_columns(y=pl.lit(1)), registry=adopted)


def test_adopting_is_not_part_of_updating(booster, adopted):
    with pytest.raises(TypeError, match="no argument 'target'"):
        evermodel.update("m", rows(300, 3), target="y", registry=adopted)
    with pytest.raises(AskedWrongly, match="name must be"):
        evermodel.update(str(booster), rows(300, 3), registry=adopted)


def _update(registry, seed, results):
    try:
        results.put(evermodel.update("m", rows(1500, seed, angle=1.2), registry=registry).decision)
    except Moved:
        results.put("moved")


def test_of_two_updates_at_once_one_wins_and_one_says_so(adopted):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    both = [context.Process(target=_update, args=(adopted, seed, results)) for seed in (3, 4)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    found = sorted(results.get(timeout=60) for _ in both)
    # where the machine ran them one after the other, the second met the first's champion
    assert found in (["moved", "promote"], ["promote", "promote"], ["hold", "promote"], ["promote", "reject"])
    store = open_store(adopted)
    served = [e for e in store.read_events("m") if e.kind == "promoted"]
    assert store.resolve_alias("m", "champion") == served[-1].version


@pytest.mark.parametrize("after", [0.05, 0.4, 0.8])
def test_killed_in_mid_update_the_champion_predicts_and_the_next_update_works(adopted, tmp_path, after):
    process = multiprocessing.get_context("fork").Process(target=_update, args=(adopted, 3, multiprocessing.Queue()))
    process.start()
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    evermodel.predict_file("m", rows(20, 9), to=tmp_path / "p.csv", registry=adopted)
    assert evermodel.update("m", rows(800, 5, angle=1.2), registry=adopted).challenger is not None


def test_a_new_class_of_an_update_that_was_not_promoted_keeps_its_code(tmp_path):
    """Its rows are remembered: they must not be read as another new class later, nor break the next update."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def three(n: int, seed: int, third: str | None) -> pl.DataFrame:
        frame = rows(n, seed).drop("kind", "when")
        other = pl.Series(np.random.default_rng(seed).random(n) < (0.3 if third else 0.0))
        label = pl.when(other).then(pl.lit(third)).when(pl.col("y") == 0).then(pl.lit("no")).otherwise(pl.lit("yes"))
        far = {"maybe": 8.0, "zebra": -8.0}.get(third or "", 0.0)
        return frame.with_columns(y=label, a=pl.when(other).then(pl.col("a") + far).otherwise("a"))

    first = three(1000, 1, None)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(first.drop("y").to_pandas(), first["y"].to_list())
    registry = tmp_path / "registry"
    evermodel.adopt(model, data=three(1000, 2, None), target="y", name="m", registry=registry)
    unasked = {"skill": None}  # a model that has no answer for the new class has lost its skill
    assert (
        evermodel.update(
            "m", three(500, 3, "maybe"), strategy="none", new_classes=["maybe"], gates=unasked, registry=registry
        ).decision
        == "hold"
    )
    assert evermodel.update("m", three(500, 4, None), strategy="none", registry=registry).in_service == "v1"
    done = evermodel.update("m", three(1500, 5, "zebra"), strategy="refit", new_classes=["zebra"], registry=registry)
    assert done.decision == "promote"
    assert done.scores["new"]["accuracy"].challenger > 0.7
    scored = evermodel.evaluate("m", three(500, 6, "maybe"), registry=registry)
    assert scored.scores["accuracy"] > 0.7
