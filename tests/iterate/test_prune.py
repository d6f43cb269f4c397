"""``prune`` from end to end: a real booster in the store, pruned, judged, served, updated again, asked wrongly."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import AskedWrongly
from tests.loop.conftest import rows


def test_a_booster_with_fewer_trees_is_judged_stored_and_updated(adopted, tmp_path):
    done = evermodel.prune("m", rows(3000, 7), ratio=0.6, keep_metric=0.02, home=adopted)
    assert done.decision in ("promote", "hold")
    assert done.challenger == "v2"
    assert done.settings == {"with": "trees", "ratio": 0.6}
    assert done.size[1] < 0.6 * done.size[0]
    assert done.latency[1] < done.latency[0]
    assert evermodel.predict("m", rows(50, 9), to=tmp_path / "p.csv", version="v2", home=adopted).rows == 50
    again = evermodel.update("m", rows(600, 8), home=adopted)
    assert again.challenger == "v3"


def test_without_a_ratio_the_most_that_costs_little_goes(adopted):
    done = evermodel.prune("m", rows(3000, 7), keep_metric=0.01, home=adopted)
    assert len(done.tried) == 4
    assert [p.ratio for p in done.tried] == sorted(p.ratio for p in done.tried)
    assert any(p.pareto for p in done.tried)
    assert done.ratio in [p.ratio for p in done.tried]


def test_a_size_is_reached(adopted):
    done = evermodel.prune("m", rows(3000, 7), size=0.4, home=adopted)
    assert done.size[1] <= 0.4 * done.size[0]
    assert len(done.tried) == 1


def test_the_command_answers_in_json_and_by_exit_codes(adopted, tmp_path):
    file = tmp_path / "new.csv"
    rows(2000, 7).write_csv(file)
    told = ["prune", "m", str(file), "--with", "trees", "--size", "0.5x", "--home", str(adopted), "--json"]
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
        ({"with_": "chanels"}, "channels"),
        ({"with_": "channels", "ratio": 0.5}, "networks"),
        ({"with_": "trees", "settings": {"ratio": "0.5"}}, "--ratio"),
        ({"with_": "trees", "settings": {"depth": "3"}}, "no setting"),
        ({"settings": {"epochs": "3"}}, "chooses its own"),
        ({"metric": "beauty"}, "auc"),
        ({"data": rows(12, 3)}, "30 rows"),
    ],
    ids=str,
)
def test_asked_wrongly(adopted, asked, said):
    before = len(evermodel.show("m", home=adopted).rows)
    asked = {"data": rows(400, 9), **asked}
    with pytest.raises(AskedWrongly, match=said):
        evermodel.prune("m", home=adopted, **asked)
    assert len(evermodel.show("m", home=adopted).rows) == before


def test_a_share_that_is_no_number_is_asked_wrongly(adopted):
    result = CliRunner().invoke(app, ["prune", "m", "--latency", "fast", "--home", str(adopted)])
    assert result.exit_code != 0
