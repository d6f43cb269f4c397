"""``prune`` from end to end: a real booster in the store, pruned, judged, served, updated again, asked wrongly."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import time

import pytest
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.registry.lookup import open_store
from evermodel.registry.serving_cost import costs_of
from evermodel.registry.versions import load_version
from tests.updating.conftest import rows


def test_a_booster_with_fewer_trees_is_judged_stored_and_updated(adopted, tmp_path):
    done = evermodel.prune("m", rows(3000, 7), ratio=0.6, keep_metric=0.02, registry=adopted)
    store = open_store(adopted)
    assert done.decision in ("promote", "hold")
    assert done.challenger == "v2"
    assert done.settings == {"with": "trees", "ratio": 0.6}
    assert done.size[1] < 0.6 * done.size[0]
    before, after = (load_version(store, store.read_card("m", v)) for v in ("v1", "v2"))
    assert after.framework.count_trees(after.obj) <= 0.5 * before.framework.count_trees(before.obj)
    # Time falls with the trees. It is measured by bench/prune.py: beside other tests a clock says nothing.
    assert evermodel.predict_file("m", rows(50, 9), to=tmp_path / "p.csv", version="v2", registry=adopted).rows == 50
    again = evermodel.update("m", rows(600, 8), registry=adopted)
    assert again.challenger == "v3"


def test_without_a_ratio_the_most_that_costs_little_goes(adopted):
    done = evermodel.prune("m", rows(3000, 7), keep_metric=0.01, registry=adopted)
    assert len(done.tried) == 5  # four by halving; a quarter in any case
    assert 0.25 in [p.ratio for p in done.tried]
    assert [p.ratio for p in done.tried] == sorted(p.ratio for p in done.tried)
    assert any(p.pareto for p in done.tried)
    chosen = next(p for p in done.tried if p.ratio == done.ratio)
    assert chosen.score >= done.base - 0.01
    assert done.data.judged == 1500  # half of the rows: little harm takes many to rule out


def test_a_size_is_reached(adopted):
    done = evermodel.prune("m", rows(3000, 7), size=0.4, registry=adopted)
    assert done.size[1] <= 0.4 * done.size[0]
    assert len(done.tried) == 1


def test_ctrl_c_in_the_middle_changes_nothing_and_the_next_prune_goes_through(adopted):
    def interrupt(point):
        raise KeyboardInterrupt

    before = (evermodel.show("m", registry=adopted).rows, evermodel.log("m", registry=adopted).rows)
    with pytest.raises(KeyboardInterrupt):
        evermodel.prune("m", rows(2000, 7), registry=adopted, on_point=interrupt)
    assert (evermodel.show("m", registry=adopted).rows, evermodel.log("m", registry=adopted).rows) == before
    assert evermodel.prune("m", rows(2000, 7), ratio=0.5, registry=adopted).challenger == "v2"


def _told(tried):
    """All of a point but its measurements of time, which scatter."""
    return [(p.ratio, p.size, p.score) for p in tried]


def _slow(registry):
    evermodel.prune("m", rows(3000, 7), keep_metric=0.01, registry=registry, on_point=lambda point: time.sleep(1.0))


def _by_size(models, frame, **told):
    """Latency as the size has it: measured beside other work it scatters by more than what a smaller model saves."""
    return [dataclasses.replace(cost, latency=1e-9 * cost.size) for cost in costs_of(models, frame, **told)]


def test_kill_9_loses_no_ratio_that_was_finished(adopted, tmp_path, monkeypatch):
    monkeypatch.setattr("evermodel.searching.prune.ratios.costs_of", _by_size)
    whole = tmp_path / "whole"
    shutil.copytree(adopted, whole)
    process = multiprocessing.get_context("spawn").Process(target=_slow, args=(adopted,))
    process.start()
    kept, deadline = adopted / "scratch" / "m" / "prune", time.monotonic() + 90
    while sum(1 for _ in kept.glob("*/0*/record.json")) < 2:
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    finished = {p: p.stat().st_mtime_ns for p in kept.glob("*/0*/record.json")}
    assert 2 <= len(finished) < 5
    assert evermodel.show("m", registry=adopted).rows[-1]["version"] == "v1"

    def untouched(point):
        heard.append(point)
        assert {p: p.stat().st_mtime_ns for p in finished} == finished, "not done again"

    heard = []
    told = {"keep_metric": 0.01, "resume": True, "on_point": untouched}
    done = evermodel.prune("m", rows(3000, 7), registry=adopted, **told)
    same = evermodel.prune("m", rows(3000, 7), keep_metric=0.01, registry=whole)
    assert _told(done.tried) == _told(same.tried)
    assert len(heard) == 5
    assert (done.decision, done.ratio) == (same.decision, same.ratio)
    assert not any(kept.iterdir()), "nothing is left of what is done"


def test_what_was_kept_and_is_damaged_is_done_again(adopted):
    def interrupt(point):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evermodel.prune("m", rows(2000, 7), ratio=0.5, registry=adopted, on_point=interrupt)
    (kept,) = (adopted / "scratch" / "m" / "prune").glob("*/0.5")
    for file in (kept / "model").iterdir():
        file.write_bytes(b"noise")
    assert evermodel.prune("m", rows(2000, 7), ratio=0.5, registry=adopted, resume=True).challenger == "v2"


def test_the_command_says_how_to_go_on(adopted, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(evermodel, "prune", interrupt)
    result = CliRunner().invoke(app, ["prune", "m", "--registry", str(adopted)])
    assert result.exit_code == 130
    assert "the same command with --resume continues" in result.stderr


def test_the_command_answers_in_json_and_by_exit_codes(adopted, tmp_path):
    file = tmp_path / "new.csv"
    rows(2000, 7).write_csv(file)
    told = ["prune", "m", str(file), "--with", "trees", "--size", "0.5x", "--registry", str(adopted), "--json"]
    result = CliRunner().invoke(app, told)
    document = json.loads(result.stdout)
    assert result.exit_code == {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}[document["decision"]]
    assert len(document["latency"]) == len(document["size"]) == 2
    assert document["tried"][0]["size"] < 0.5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"ratio": 1.5}, "below 1"),
        ({"ratio": 0.0}, "above 0"),
        ({"ratio": float("nan")}, "below 1"),
        ({"ratio": 0.5, "size": 0.5}, "one of"),
        ({"size": 0.001}, "No ratio"),
        ({"keep_metric": -1.0}, "keep_metric"),
        ({"pruner": "chanels"}, "channels"),
        ({"pruner": "channels", "ratio": 0.5}, "networks"),
        ({"pruner": "trees", "settings": {"ratio": "0.5"}}, "`ratio` itself"),
        ({"pruner": "trees", "settings": {"depth": "3"}}, "no setting"),
        ({"settings": {"epochs": "3"}}, "chooses its own"),
        ({"metric": "beauty"}, "auc"),
        ({"data": rows(12, 3)}, "30 rows"),
    ],
    ids=str,
)
def test_asked_wrongly(adopted, asked, said):
    before = len(evermodel.show("m", registry=adopted).rows)
    asked = {"data": rows(400, 9), **asked}
    with pytest.raises(AskedWrongly, match=said):
        evermodel.prune("m", registry=adopted, **asked)
    assert len(evermodel.show("m", registry=adopted).rows) == before


def test_a_share_that_is_no_number_is_asked_wrongly(adopted):
    result = CliRunner().invoke(app, ["prune", "m", "--latency", "fast", "--registry", str(adopted)])
    assert result.exit_code != 0


def test_without_new_rows_those_kept_out_of_training_choose_and_judge(adopted):
    evermodel.update("m", rows(3000, 3), registry=adopted)
    done = evermodel.prune("m", ratio=0.5, keep_metric=0.02, registry=adopted)
    assert done.data.source == "rows kept out of training"
    assert done.size[1] < done.size[0]


def test_too_few_rows_kept_out_of_training_are_no_data(booster, tmp_path):
    evermodel.adopt(booster, data=rows(500, 2), target="y", name="few", time="when", registry=tmp_path)
    with pytest.raises(NoData, match="kept out of training"):
        evermodel.prune("few", ratio=0.5, registry=tmp_path)


def test_a_keras_network_gets_smaller_and_faster(tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    frame = rows(3000, 1).select("a", "b", "y")
    layers = [keras.layers.Dense(256, "relu"), keras.layers.BatchNormalization(), keras.layers.Dense(256, "relu")]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    model.fit(frame.select("a", "b").to_numpy(), frame["y"].to_numpy(), epochs=3, verbose=0)
    model.save(tmp_path / "net.keras")
    registry = tmp_path / "registry"
    evermodel.adopt(tmp_path / "net.keras", data=frame, target="y", name="net", registry=registry)
    done = evermodel.prune("net", rows(3000, 5).select("a", "b", "y"), size=0.3, keep_metric=0.02, registry=registry)
    assert done.settings["with"] == "channels"
    assert done.decision in ("promote", "hold")
    assert done.size[1] <= 0.3 * done.size[0]
    assert (
        evermodel.predict_file(
            "net", rows(20, 9), version=done.challenger, to=tmp_path / "p.csv", registry=registry
        ).rows
        == 20
    )
    told = [e.number for e in open_store(registry).read_card("net", done.challenger).update.curve]
    assert len(told) > 1 and told == sorted(set(told)), "several recoveries are one curve, each epoch told once"


def test_a_keras_network_in_8_bits_is_smaller_and_is_updated_as_its_twin_in_floats(tmp_path):
    import keras

    from evermodel.plugins.frameworks import keras as plugin
    from evermodel.registry.lookup import open_store
    from evermodel.registry.versions import load_version

    keras.utils.set_random_seed(0)
    frame = rows(2000, 1).select("a", "b", "y")
    layers = [keras.layers.Dense(128, "relu"), keras.layers.Dense(128, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit(frame.select("a", "b").to_numpy(), frame["y"].to_numpy(), epochs=3, verbose=0)
    registry = tmp_path / "registry"
    evermodel.adopt(model, data=frame, target="y", name="net", transform="none", registry=registry)
    new = rows(3000, 5).select("a", "b", "y")
    done = evermodel.prune("net", new, pruner="quantise", ratio=0.9, keep_metric=0.02, registry=registry)
    assert done.decision == "promote"
    assert done.size[1] < 0.6 * done.size[0]
    store = open_store(registry)
    held = load_version(store, store.read_card("net", "v2"))
    assert plugin.is_quantised(held.obj)
    assert (
        evermodel.update("net", rows(800, 6).select("a", "b", "y"), strategy="replay", registry=registry).challenger
        == "v3"
    )
    assert not plugin.is_quantised(load_version(store, store.read_card("net", "v3")).obj)
