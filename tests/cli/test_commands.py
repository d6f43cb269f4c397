"""Every command: its exit code, one JSON document on stdout and nothing else, an example in its help."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

pytest.importorskip("lightgbm")

from evermodel.cli.app import app
from tests.cli.ground import Answer, ask, make_ground
from tests.updating.conftest import rows


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A registry with "m": v1 adopted, v2 promoted, v3 rejected; and the folder around it."""
    ground = make_ground(tmp_path_factory.mktemp("commands"))
    turned = ground.csv(rows(800, 3, angle=1.2), "turned.csv")
    promoted = ask(["update", "m", turned, "--json"], ground.registry)
    worse = ground.csv(rows(400, 4, angle=1.2), "worse.csv")
    other = ask(["update", "m", worse, "--with", "refit", "--set", "window=1", "--json"], ground.registry)
    gc.collect()  # closes the database, so that its journal is not removed while a test copies the folder
    return ground, promoted, other


@pytest.fixture
def registry(deployed, tmp_path) -> Path:
    return Path(shutil.copytree(deployed[0].registry, tmp_path / "registry"))


def document(answer: Answer) -> dict:
    """The one JSON document that stdout must hold; json.loads raises for anything before or after it."""
    assert answer.out.startswith("{"), answer.out[:80] + answer.err[-300:]
    return json.loads(answer.out)


def test_an_update_that_helps_is_promoted_and_exits_0(deployed):
    _, promoted, _ = deployed
    assert promoted.code == 0
    said = document(promoted)
    assert (said["decision"], said["challenger"], said["in_service"]) == ("promote", "v2", "v2")


def test_an_update_that_does_not_help_exits_10_or_11(deployed):
    _, _, other = deployed
    said = document(other)
    assert other.code == {"hold": 10, "reject": 11}[said["decision"]]
    assert (said["challenger"], said["in_service"]) == ("v3", "v2")


def test_judging_the_old_version_rejects_it_and_exits_11(deployed, registry):
    fresh = deployed[0].csv(rows(1200, 6, angle=1.2), "fresh.csv")
    answer = ask(["judge", "m", "v1", fresh, "--json"], registry)
    assert (answer.code, document(answer)["decision"]) == (11, "reject")


def test_judging_on_few_rows_holds_and_exits_10(deployed, registry):
    few = deployed[0].csv(rows(14, 7, angle=1.2), "few.csv")
    answer = ask(["judge", "m", "v3", few, "--json"], registry)
    assert (answer.code, document(answer)["decision"]) == (10, "hold")


def test_rows_whose_labels_mean_nothing_cannot_count_and_exit_12(deployed, registry):
    frame = rows(800, 8, angle=1.2)
    broken = deployed[0].csv(frame.with_columns(y=frame["y"].shuffle(seed=0)), "broken.csv")
    answer = ask(["update", "m", broken, "--json"], registry)
    assert (answer.code, document(answer)["decision"]) == (12, "invalid")
    assert document(ask(["show", "m", "--json"], registry))["rows"][1]["serving"] == "*"


def test_adopt(deployed, registry):
    ground = deployed[0]
    said = ["adopt", str(ground.model), "--data", str(ground.reference), "--target", "y", "--name", "other"]
    answer = ask([*said, "--time", "when", "--json"], registry)
    assert answer.code == 0
    assert {"name": "other", "version": "v1", "task": "binary", "rows": 600}.items() <= document(answer).items()


def test_promote_and_rollback_move_the_champion_and_back(registry):
    moved = ask(["promote", "m", "v3", "--json"], registry)
    assert (moved.code, document(moved)["version"], document(moved)["was"]) == (0, "v3", "v2")
    back = ask(["rollback", "m", "--json"], registry)
    assert (back.code, document(back)["version"]) == (0, "v2")
    assert document(ask(["rollback", "m", "--to", "v1", "--json"], registry))["version"] == "v1"


def test_evaluate_tells_two_versions_apart(deployed, registry):
    fresh = deployed[0].csv(rows(800, 9, angle=1.2), "evaluated.csv")
    new, old = (ask(["evaluate", "m", fresh, "--version", v, "--json"], registry) for v in ("v2", "v1"))
    assert new.code == old.code == 0
    assert document(new)["scores"]["auc"] > document(old)["scores"]["auc"] + 0.05


def test_predict_writes_every_row(deployed, registry, tmp_path):
    answer = ask(["predict", "m", str(deployed[0].reference), "--to", str(tmp_path / "p.csv"), "--json"], registry)
    assert (answer.code, document(answer)["rows"]) == (0, 600)
    written = pl.read_csv(tmp_path / "p.csv")
    assert written.columns == ["row", "prediction", "p_0", "p_1"]
    assert (written["p_0"] + written["p_1"] - 1).abs().max() < 1e-5


def test_save_writes_the_file_and_its_transform(registry, tmp_path):
    answer = ask(["save", "m", "--to", str(tmp_path / "out.txt"), "--json"], registry)
    assert answer.code == 0
    assert document(answer)["files"] == [str(tmp_path / "out.txt"), str(tmp_path / "out.transform.json")]
    assert (tmp_path / "out.txt").read_text().startswith("tree")


def test_list_show_and_log_say_what_there_is(registry):
    listed, shown, card, logged = (
        ask([*words, "--json"], registry) for words in (["list"], ["show", "m"], ["show", "m", "v2"], ["log", "m"])
    )
    assert [a.code for a in (listed, shown, card, logged)] == [0, 0, 0, 0]
    assert document(listed)["rows"][0].items() >= {"name": "m", "serving": "v2", "versions": 3}.items()
    assert [r["version"] for r in document(shown)["rows"]] == ["v1", "v2", "v3"]
    assert "parents" in {r["what"] for r in document(card)["rows"]}
    assert [r["what"] for r in document(logged)["rows"]][:2] == ["adopted", "promoted"]


def test_report_writes_one_page(registry, tmp_path):
    answer = ask(["report", "m", "--to", str(tmp_path / "r.html"), "--json"], registry)
    assert answer.code == 0
    assert document(answer)
    page = (tmp_path / "r.html").read_text()
    assert "<html" in page
    assert 'src="http' not in page


def test_a_dry_run_changes_nothing(deployed, registry):
    turned = deployed[0].csv(rows(800, 10, angle=2.2), "dry.csv")
    before = document(ask(["log", "m", "--json"], registry))
    answer = ask(["update", "m", turned, "--dry-run", "--json"], registry)
    assert document(answer)["challenger"] is None
    assert document(ask(["log", "m", "--json"], registry)) == before


def test_words_for_people_are_no_json(registry):
    assert "m" in ask(["list"], registry).out
    with pytest.raises(AssertionError):
        document(ask(["list"], registry))


@pytest.mark.parametrize("name", sorted(app.commands))
def test_help_has_an_example_and_says_where_things_are(name):
    answer = ask([name, "--help"], None)
    assert answer.code == 0
    assert f"evermodel {name}" in answer.out.split("Example:")[1]
    assert "--json" in answer.out
    parts = getattr(app.commands[name], "commands", {})  # a group says it at each of its commands
    assert all("--json" in ask([name, *more, "--help"], None).out for more in ([[p] for p in parts] or [[]]))


def test_an_option_before_the_command_is_told_where_it_belongs():
    found = CliRunner().invoke(app, ["--registry", "models", "list"])
    assert found.exit_code == 2
    assert "--registry is an option of the commands and stands behind them" in found.output
    assert "No such option '--registri'" in CliRunner().invoke(app, ["--registri", "x", "list"]).output
