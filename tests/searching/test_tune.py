"""``tune`` from end to end: on a real booster, interrupted, resumed, warm, by two processes, and asked wrongly."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import optuna
import pytest
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import AskedWrongly
from evermodel.core.model.search_space import Dimension, Space
from evermodel.searching.tune.study import Study
from tests.updating.conftest import rows

SPACE = {"num_leaves": [3, 7, 15], "learning_rate": [0.05, 0.1, 0.3], "rounds": [10, 30]}


def test_a_stale_model_is_tuned_judged_and_promoted(adopted):
    heard = []
    done = evermodel.tune("m", rows(1500, 3, angle=1.2), trials=6, registry=adopted, on_trial=heard.append)
    assert (done.decision, done.challenger, done.in_service, done.strategy) == ("promote", "v2", "v2", "tune")
    assert len(done.trials) == len(heard) == 6
    assert done.trials[0].note == "as deployed"
    assert done.trials[0].values["num_leaves"] == 7
    whole = [t for t in done.trials if t.state == "whole"]
    assert dict(done.best) == dict(max(whole, key=lambda t: t.score).values)
    assert done.epochs == sum(t.epochs for t in done.trials) > 0
    assert evermodel.evaluate("m", rows(900, 4, angle=1.2), registry=adopted).scores["auc"] > 0.7
    assert [r["what"] for r in evermodel.log("m", registry=adopted).rows] == ["adopted", "promoted"]


def test_the_grid_runs_every_point_in_full_and_racing_finds_the_same_best(adopted):
    new = rows(1200, 3, angle=0.9)
    full = evermodel.tune("m", new, tuner="grid", space=SPACE, trials=99, registry=adopted, warm=False)
    # trial 0 is what is deployed, and a point of the grid: it is not trained twice
    assert len(full.trials) == 18
    assert all(t.state == "whole" and len(t.folds) == 3 for t in full.trials)
    newer = rows(1200, 5, angle=0.9)
    grid = evermodel.tune("m", newer, tuner="grid", space=SPACE, trials=99, registry=adopted, warm=False)
    raced = evermodel.tune("m", rows(1200, 6, angle=0.9), space=SPACE, trials=99, registry=adopted, warm=False)
    assert len({json.dumps(dict(t.values), sort_keys=True) for t in raced.trials}) == 18
    assert raced.epochs < grid.epochs
    assert any(t.state == "stopped" for t in raced.trials)


def test_a_gain_of_newer_rows_is_not_told_as_the_search_s(adopted, tmp_path):
    done = evermodel.tune("m", rows(1500, 3, angle=1.2), space={"learning_rate": [0.000001, 0.1]}, registry=adopted)
    assert done.decision == "promote" and done.best == done.incumbent and done.unbeaten
    assert done.reasons[-1].startswith("None of 1 other points beat the hyperparameters in service")
    evermodel.report("m", done.challenger, to=tmp_path / "r.html", registry=adopted)
    assert "No point that was searched beat the hyperparameters" in (tmp_path / "r.html").read_text()
    better = evermodel.tune("m", rows(1500, 4, angle=1.2), space={"rounds": [1, 60]}, registry=adopted)
    assert dict(better.best) != dict(better.incumbent)
    assert not better.unbeaten and not any("None of" in r for r in better.reasons)


def test_a_second_search_begins_where_the_first_ended(adopted):
    first = evermodel.tune("m", rows(1200, 3, angle=0.9), trials=8, registry=adopted)
    second = evermodel.tune("m", rows(1200, 4, angle=0.9), trials=8, registry=adopted)
    tried = [(t.note, dict(t.values)) for t in second.trials[:2]]
    assert tried[0][0] == "as deployed"
    best = {k: pytest.approx(v) for k, v in first.best.items()}
    assert any(values == best for _, values in tried)


def test_the_earlier_best_that_is_deployed_is_not_trained_twice(adopted):
    """A booster's file holds fewer digits than the search's own notes."""
    first = evermodel.tune("m", rows(1500, 3, angle=1.2), trials=6, registry=adopted)
    assert first.in_service == "v2" and dict(first.best) != dict(first.incumbent)
    second = evermodel.tune("m", rows(1200, 4, angle=1.2), trials=4, registry=adopted)
    best = {k: pytest.approx(v, rel=1e-4) for k, v in first.best.items()}
    assert [t.note for t in second.trials if dict(t.values) == best] == ["as deployed"]


def test_without_new_rows_the_newest_known_ones_judge(adopted):
    done = evermodel.tune("m", trials=3, registry=adopted)
    assert "answers for the champion" in done.reasons[0]
    assert done.decision in ("promote", "hold", "reject")
    assert done.data.source == "rows known before"
    again = evermodel.update("m", rows(900, 7), registry=adopted)
    assert again.data.replayed > 0


def test_a_users_own_build(adopted):
    import lightgbm
    import numpy as np

    def build(values):
        x = np.random.default_rng(0).normal(size=(60, 3))
        told = {"objective": "binary", "verbose": -1, "num_leaves": values["leaves"]}
        return lightgbm.train(told, lightgbm.Dataset(x, (x[:, 0] > 0).astype(int)), 20)

    done = evermodel.tune(
        "m", rows(900, 3, angle=1.0), build=build, space={"leaves": [2, 5, 9]}, trials=9, registry=adopted
    )
    assert {t.values["leaves"] for t in done.trials} == {2, 5, 9}
    with pytest.raises(AskedWrongly, match="needs a space"):
        evermodel.tune("m", rows(900, 4), build=build, registry=adopted)


def _tune(registry, seed, trials, resume=False):
    evermodel.tune(
        "m", rows(1200, 3, angle=0.9), trials=trials, registry=registry, seed=seed, resume=resume, warm=False
    )


def test_kill_9_in_the_middle_loses_no_finished_trial(adopted):
    seen = adopted / "seen"
    process = multiprocessing.get_context("spawn").Process(target=_slow, args=(adopted, seen))
    process.start()
    deadline = time.monotonic() + 90
    while not (seen.exists() and len(seen.read_text().split()) >= 3):
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    finished = len(seen.read_text().split())
    most = finished + 3
    done = evermodel.tune("m", rows(1200, 3, angle=0.9), trials=most, registry=adopted, resume=True, warm=False)
    assert len(done.trials) == most  # what was in training when it was killed is failed, and does not count
    assert len(done.trials) >= finished
    assert evermodel.log("m", registry=adopted).rows[-1]["what"] in ("promoted", "held", "rejected")


def test_two_processes_search_together_and_one_that_is_killed_takes_nothing_along(adopted):
    seen = adopted / "seen"
    other = multiprocessing.get_context("spawn").Process(target=_slow, args=(adopted, seen))
    other.start()
    deadline = time.monotonic() + 90
    while not (seen.exists() and len(seen.read_text().split()) >= 2):
        assert other.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    heard = []

    def hear(trial):
        heard.append(trial)
        if len(heard) == 2:
            os.kill(other.pid, signal.SIGKILL)
            other.join()

    done = evermodel.tune(
        "m", rows(1200, 3, angle=0.9), trials=40, registry=adopted, resume=True, warm=False, on_trial=hear
    )
    theirs = len(seen.read_text().split())
    assert len(done.trials) == 40  # what the killed one had in training is begun again
    assert len({t.number for t in done.trials}) == len(done.trials)
    # The kill may fall between the trial's entry in the journal and the line that counts it, or the other way round.
    assert abs(len(heard) + theirs - len(done.trials)) <= 1
    points = [json.dumps(dict(t.values), sort_keys=True) for t in done.trials if t.state != "failed"]
    assert len(points) - len(set(points)) <= 1  # two may begin one point at the same moment


def test_a_trial_whose_process_was_killed_before_it_signed_does_not_count(tmp_path):
    study = Study(tmp_path / "journal", "s", Space((Dimension("x", "float", 0.0, 1.0),)))
    study.study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})  # and nothing more: no owner
    assert study.count_started() == 0
    study.ask(optuna.samplers.RandomSampler(seed=1))
    assert study.count_started() == 1


def test_no_point_of_a_space_that_trains_is_asked_wrongly(adopted):
    with pytest.raises(AskedWrongly, match="No point of the space"):
        evermodel.tune("m", rows(600, 3), space={"num_leaves": [-5, -3]}, trials=2, registry=adopted)
    assert [v["version"] for v in evermodel.show("m", registry=adopted).rows] == ["v1"]


def _slow(registry, seen):
    def hear(trial):
        with seen.open("a") as file:
            file.write("x ")
            file.flush()

    evermodel.tune("m", rows(1200, 3, angle=0.9), trials=30, registry=registry, warm=False, on_trial=hear)


def test_resumed_trials_are_the_same_trials(adopted):
    new = rows(1200, 3, angle=0.9)
    with pytest.raises(KeyboardInterrupt):
        evermodel.tune("m", new, trials=8, registry=adopted, warm=False, on_trial=_interrupt_after(3))
    assert [v["version"] for v in evermodel.show("m", registry=adopted).rows] == ["v1"]
    heard = []
    done = evermodel.tune("m", new, trials=8, registry=adopted, warm=False, resume=True, on_trial=heard.append)
    assert (len(done.trials), len(heard)) == (8, 5)


def _interrupt_after(count):
    heard = []

    def hear(trial):
        heard.append(trial)
        if len(heard) == count:
            raise KeyboardInterrupt

    return hear


def test_the_command_answers_in_json_and_by_exit_codes(adopted, tmp_path):
    file = tmp_path / "new.csv"
    rows(900, 3, angle=1.2).write_csv(file)
    space = tmp_path / "space.json"
    space.write_text(json.dumps(SPACE))
    told = ["tune", "m", str(file), "--space", str(space), "--trials", "3", "--registry", str(adopted), "--json"]
    result = CliRunner().invoke(app, told)
    document = json.loads(result.stdout)
    assert result.exit_code == {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}[document["decision"]]
    assert {"trials", "best", "epochs", "challenger", "scores", "reasons", "rows_needed", "seconds"} <= set(document)
    assert len(document["trials"]) == 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tuner": "tpee"}, "tpe"),
        ({"space": {"depth": [1]}}, "num_leaves"),
        ({"space": {}}, "at least one"),
        ({"folds": 1}, r"folds must be in \[2, 20\]"),
        ({"data": "nowhere.csv"}, "nowhere"),
        ({"settings": {"slak": "1"}}, "slack"),
        ({"settings": {"startup": "0"}}, "startup"),
        ({"metric": "beauty"}, "auc"),
        ({"trials": 0}, "at least 1"),
        ({"budget": -1.0}, "above 0"),
        ({"space": "nowhere.json"}, "nowhere.json"),
    ],
    ids=str,
)
def test_asked_wrongly(adopted, asked, said):
    data = asked.pop("data", rows(300, 3))
    with pytest.raises(AskedWrongly, match=said):
        evermodel.tune("m", data, registry=adopted, **asked)
    assert [v["version"] for v in evermodel.show("m", registry=adopted).rows] == ["v1"]
