"""``fuse`` from end to end: versions of a real booster, in the store, judged, served, updated again, asked wrongly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import AskedWrongly
from tests.updating.conftest import rows


@pytest.fixture
def three(adopted):
    """A registry with v1 to v3: two updates by name, on different rows."""
    for seed, angle in ((3, 0.5), (4, 0.9)):
        evermodel.update("m", rows(900, seed, angle=angle), strategy="refit", settings={"window": 1}, registry=adopted)
    return adopted


@pytest.mark.parametrize("way", ["auto", "vote", "select", "stack", "distill"])
def test_versions_become_one_that_is_stored_and_predicts(three, way, tmp_path):
    done = evermodel.fuse("m", ["v1", "v2", "v3"], data=rows(900, 7, angle=0.8), fuser=way, registry=three)
    assert done.decision in ("promote", "hold", "reject")
    assert done.challenger == "v4"
    assert [m.version for m in done.members] == ["v1", "v2", "v3"]
    assert all(0 < m.score < 1 for m in done.members)
    assert min(done.latency) > 0
    assert min(done.size) > 0
    found = evermodel.predict_file("m", rows(50, 9), to=tmp_path / "p.csv", version="v4", registry=three)
    assert found.rows == 50
    again = evermodel.update("m", rows(600, 8, angle=0.8), registry=three)
    assert again.challenger == "v5"


def test_an_ensemble_in_service_is_updated_member_by_member(three):
    evermodel.fuse("m", ["v2", "v3"], data=rows(900, 7, angle=0.8), fuser="vote", registry=three)
    evermodel.promote("m", "v4", registry=three)
    done = evermodel.update("m", rows(900, 8, angle=1.4), policy="refresh", registry=three)
    assert done.champion == "v4"
    assert done.decision == "promote"
    before, after = (evermodel.evaluate("m", rows(600, 9, angle=1.4), version=v, registry=three) for v in ("v4", "v5"))
    assert after.scores["auc"] > before.scores["auc"]


def test_without_new_rows_those_kept_out_of_training_choose_and_judge(three):
    done = evermodel.fuse("m", ["v1", "v2", "v3"], fuser="select", registry=three)
    assert "kept out of all training" in done.reasons[0]
    assert done.data.source == "rows kept out of training"


def test_ctrl_c_in_the_middle_changes_nothing(three):
    def interrupt(epoch):
        raise KeyboardInterrupt

    before = (evermodel.show("m", registry=three).rows, evermodel.log("m", registry=three).rows)
    with pytest.raises(KeyboardInterrupt):
        evermodel.fuse("m", ["v1", "v2"], data=rows(900, 7), fuser="distill", registry=three, on_epoch=interrupt)
    assert (evermodel.show("m", registry=three).rows, evermodel.log("m", registry=three).rows) == before


def test_a_cap_on_latency_counts_against_an_ensemble(three):
    done = evermodel.fuse(
        "m", ["v1", "v2", "v3"], data=rows(900, 7, angle=0.8), fuser="vote", latency=0.01, registry=three
    )
    assert done.decision == "reject"
    assert any(r.startswith("A batch takes ") for r in done.reasons)


def test_the_command_answers_in_json_and_by_exit_codes(three, tmp_path):
    file = tmp_path / "new.csv"
    rows(900, 7, angle=0.8).write_csv(file)
    told = ["fuse", "m", "v2", "v3", "--data", str(file), "--with", "vote", "--registry", str(three), "--json"]
    result = CliRunner().invoke(app, told)
    document = json.loads(result.stdout)
    assert result.exit_code == {"promote": 0, "hold": 10, "reject": 11, "invalid": 12}[document["decision"]]
    assert [m["version"] for m in document["members"]] == ["v2", "v3"]
    assert document["settings"] == {"with": "vote", "of": "v2,v3"}


@pytest.mark.parametrize(
    ("versions", "asked", "said"),
    [
        (["v1"], {}, "two or more"),
        (["v1", "v1"], {}, "different versions"),
        ([], {}, "two or more"),
        (["v1", "v9"], {}, "v3"),
        (["v1", "v2"], {"fuser": "sup"}, "soup"),
        (["v1", "v2"], {"fuser": "average"}, "Weights can be averaged"),
        (["v1", "v2"], {"fuser": "slerp"}, "Weights can be averaged"),
        (["v1", "v2"], {"fuser": "ties"}, "ancestor"),
        (["v1", "v2"], {"fuser": "select", "settings": {"rounds": "0"}}, "rounds"),
        (["v1", "v2"], {"settings": {"rounds": "3"}}, "chooses its own"),
        (["v1", "v2"], {"metric": "beauty"}, "auc"),
        (["v1", "v2"], {"data": rows(12, 3)}, "30 rows"),
    ],
    ids=str,
)
def test_asked_wrongly(three, versions, asked, said):
    before = len(evermodel.show("m", registry=three).rows)
    asked = {"data": rows(300, 9), **asked}
    with pytest.raises(AskedWrongly, match=said):
        evermodel.fuse("m", versions, registry=three, **asked)
    assert len(evermodel.show("m", registry=three).rows) == before
    assert np.isfinite(evermodel.evaluate("m", rows(50, 2), registry=three).scores["auc"])
