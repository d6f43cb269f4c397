"""``iterate``: several rooms in one account."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.searching import iterate as iterate_module
from tests.updating.conftest import rows


def test_better_tunes_then_fuses_each_on_rows_of_its_own(adopted):
    done = evermodel.iterate("m", rows(2400, 3, angle=1.1), trials=4, registry=adopted)
    assert [s.strategy for s in done.steps] == ["tune", "fuse"]
    assert done.decision == "promote"
    assert done.champion == "v1"
    assert done.in_service != "v1"
    made = [v["strategy"] for v in evermodel.show("m", registry=adopted).rows]
    assert made == ["adopt", "tune", "fuse"]
    assert min(done.latency) > 0
    later = rows(600, 9, angle=1.1)
    old, new = (evermodel.evaluate("m", later, version=v, registry=adopted) for v in ("v1", done.in_service))
    assert new.scores["auc"] > old.scores["auc"] + 0.05


def test_resumed_it_takes_no_step_twice(adopted, monkeypatch):
    whole = iterate_module.fuse_versions

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(iterate_module, "fuse_versions", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evermodel.iterate("m", rows(2400, 3, angle=1.1), trials=4, registry=adopted)
    monkeypatch.setattr(iterate_module, "fuse_versions", whole)
    done = evermodel.iterate("m", rows(2400, 3, angle=1.1), trials=4, registry=adopted, resume=True)
    assert [v["strategy"] for v in evermodel.show("m", registry=adopted).rows] == ["adopt", "tune", "fuse"]
    assert [(s.strategy, s.challenger) for s in done.steps] == [("tune", "v2"), ("fuse", "v3")]
    assert (done.champion, done.decision) == ("v1", "promote")
    again = evermodel.iterate("m", rows(2400, 3, angle=1.1), trials=4, registry=adopted, resume=True)
    assert again.steps[0].challenger == "v4", "what was done to its end is not gone on with"
    assert "rows were known before" in again.steps[0].note


def test_faster_prunes(adopted):
    done = evermodel.iterate("m", rows(2400, 3), goal="faster", keep_metric=0.02, registry=adopted)
    assert [s.strategy for s in done.steps] == ["prune"]
    if done.decision == "promote":
        assert done.size[1] < done.size[0]


def test_the_command_writes_a_report_and_answers_in_json(adopted, tmp_path):
    file, page = tmp_path / "new.csv", tmp_path / "report.html"
    rows(1500, 3, angle=1.1).write_csv(file)
    told = ["iterate", "m", str(file), "--trials", "2", "--report", str(page), "--registry", str(adopted), "--json"]
    result = CliRunner().invoke(app, told)
    document = json.loads(result.stdout)
    assert result.exit_code == {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}[document["decision"]]
    assert "<html" in page.read_text()
    assert len(document["steps"]) == 2


def test_the_command_shows_what_pruning_tries(adopted, tmp_path):
    shown = []
    for i, more in enumerate(([], ["--json"])):
        rows(2400, 3 + i).write_csv(tmp_path / f"{i}.csv")
        told = ["iterate", "m", str(tmp_path / f"{i}.csv"), "--goal", "faster", "--keep-metric", "0.02"]
        result = CliRunner().invoke(app, [*told, "--registry", str(adopted), *more])
        assert result.exit_code in (0, 10, 11), result.stderr
        shown.append(result.stderr.count("ratio "))
    assert shown[0] >= 4
    assert shown[1] == 0


def test_asked_wrongly(adopted):
    with pytest.raises(AskedWrongly, match="faster"):
        evermodel.iterate("m", rows(300, 3), goal="cheaper", registry=adopted)
    with pytest.raises(NoData, match="120 new rows"):
        evermodel.iterate("m", rows(100, 3), registry=adopted)
    assert [v["version"] for v in evermodel.show("m", registry=adopted).rows] == ["v1"]
