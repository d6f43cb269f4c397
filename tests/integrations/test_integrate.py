"""What ``integrate`` writes, read by the programs it is for."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from scripts import servers
from tests.cli.ground import ask
from tests.integrations.conftest import needs, said


def run(kind: str, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([servers.needed(kind), *map(str, words)], capture_output=True, text=True)


@needs("promtool")
@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["--pushgateway", "gate:9091", "--silent", "90m", "--interval", "1s", "--patience", "30s"],
        ["--exporter", "[::1]:9464", "--silent", "2w"],
    ],
    ids=["as it is", "with a Pushgateway", "version 6"],
)
def test_promtool_takes_configuration_and_rules_and_their_unit_tests_pass(typed, tmp_path):
    said("integrate", "prometheus", "--to", tmp_path, *typed)
    checked = run("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert checked.returncode == 0, checked
    assert "7 rules found" in checked.stdout
    rules = run("promtool", "check", "rules", *(tmp_path / "rules").glob("*s.yml"))
    tested = run("promtool", "test", "rules", tmp_path / "rules" / "evermodel.tests.yml")
    assert tested.returncode == 0, tested.stdout
    assert rules is not None


@needs("promtool")
def test_the_rules_unit_tests_catch_a_rule_that_is_late(tmp_path):
    said("integrate", "prometheus", "--to", tmp_path)
    alerts = tmp_path / "rules" / "evermodel.alerts.yml"
    alerts.write_text(
        alerts.read_text().replace("labels: {severity: critical}", "for: 10m\n        labels: {severity: critical}")
    )
    tested = run("promtool", "test", "rules", tmp_path / "rules" / "evermodel.tests.yml")
    assert tested.returncode != 0


def test_every_series_a_rule_or_a_panel_asks_for_is_one_we_export(tmp_path):
    from evermodel.integrations.samples.families import FAMILIES

    said("integrate", "prometheus", "--to", tmp_path)
    said("integrate", "grafana", "--to", tmp_path)
    known = {f.series for f in FAMILIES.values()}
    asked = set()
    for file in [*tmp_path.rglob("*.yml"), *tmp_path.rglob("*.json")]:
        asked |= set(re.findall(r"(?<![\w:/-])evermodel_\w+(?!\w*:)(?![\w:])", file.read_text()))
    assert len(asked) > 20
    assert not asked - known


@needs("amtool")
def test_amtool_takes_the_routes(tmp_path):
    said("integrate", "alertmanager", "--to", tmp_path, "--webhook", "https://user@hooks.example:8080/x?y=1&z=2")
    checked = run("amtool", "check-config", tmp_path / "alertmanager.yml")
    assert checked.returncode == 0, checked
    routed = run(
        "amtool", "config", "routes", "test", f"--config.file={tmp_path / 'alertmanager.yml'}", "severity=critical"
    )
    assert routed.stdout.strip() == "evermodel-webhook"


@needs("nagios")
@pytest.mark.parametrize("typed", [[], ["--warning", "auc=0.8:", "--critical", "auc=@0:0.7", "--host", "my models"]])
def test_nagios_takes_the_objects(typed, tmp_path, quiet, program):
    said("integrate", "nagios", "--to", tmp_path, "--program", program, *typed, registry=quiet.registry)
    config = servers.nagios_config(tmp_path / "nagios", tmp_path / "evermodel.cfg")
    checked = run("nagios", "-v", config)
    assert checked.returncode == 0, checked.stdout
    assert "Total Warnings: 0" in checked.stdout
    assert "Total Errors:   0" in checked.stdout
    assert f"Checked {3 if not typed else 4} services" in checked.stdout


def boards(folder: Path) -> dict[str, dict]:
    return {f.stem: json.loads(f.read_text()) for f in sorted((folder / "dashboards").glob("*.json"))}


def test_dashboards_fit_the_sdks_schema(tmp_path):
    """Read back into the SDK's typed models and written again, nothing is lost and nothing is added."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    said("integrate", "grafana", "--to", tmp_path)
    found = boards(tmp_path)
    assert set(found) == {"evermodel-models", "evermodel-model", "evermodel-drift"}
    for board in found.values():
        again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
        for query in board["annotations"]["list"]:  # the plugin's own fields, which the SDK does not model
            for key in ("titleFormat", "textFormat", "step", "useValueForTime"):
                assert query.pop(key) is not None
        assert again == board
        ids = [p["id"] for p in board["panels"] if "id" in p]
        assert len(ids) == len(set(ids))
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
        assert len(places) == len(set(places))
        assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in board["panels"])
        assert all(p["title"] and p["description"] and p["targets"] for p in board["panels"])


def test_provisioning_names_what_is_there(tmp_path):
    said("integrate", "grafana", "--to", tmp_path, "--prometheus", "http://prom:9090")
    source = yaml.safe_load((tmp_path / "provisioning/datasources/evermodel.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((tmp_path / "provisioning/dashboards/evermodel.yml").read_text())["providers"][0]
    group = yaml.safe_load((tmp_path / "provisioning/alerting/evermodel.yml").read_text())["groups"][0]
    assert source["url"] == "http://prom:9090"
    assert provider["options"]["path"] == str(tmp_path / "dashboards")
    for board in boards(tmp_path).values():
        asked = {p["datasource"]["uid"] for p in board["panels"]} | {
            q["datasource"]["uid"] for q in board["annotations"]["list"]
        }
        assert asked == {source["uid"]}
    assert {q["datasourceUid"] for r in group["rules"] for q in r["data"]} == {source["uid"]}
    assert all(r["isPaused"] for r in group["rules"])
    said("integrate", "grafana", "--to", tmp_path, "--prometheus", "http://prom:9090", "--alerts", "--replace")
    group = yaml.safe_load((tmp_path / "provisioning/alerting/evermodel.yml").read_text())["groups"][0]
    assert not any(r["isPaused"] for r in group["rules"])


BAD = [
    (["prometheus", "--exporter", "localhost"], "HOST:PORT"),
    (["prometheus", "--exporter", 'x:1"]\nevil: ["'], "HOST:PORT"),
    (["prometheus", "--alertmanager", "x:99999"], "HOST:PORT"),
    (["prometheus", "--interval", "often"], "15s"),
    (["prometheus", "--silent", "0s"], "15s"),
    (["prometheus", "--token-file", 'a"b'], "--token-file"),
    (["alertmanager", "--webhook", "ftp://x"], "URL"),
    (["alertmanager", "--webhook", 'http://x/"\nfoo'], "URL"),
    (["grafana", "--prometheus", "localhost:9090"], "URL"),
    (["nagios", "--host", "a;b"], "--host"),
    (["nagios", "--every", "90s"], "minutes"),
    (["nagios", "--warning", "auc"], "range"),
    (["nagios", "--warning", "$(id)=1:"], "figure"),
    (["nagios", "--model", "nobody"], "nobody"),
    (["nagios", "--program", "a;b"], "--program"),
]


@pytest.mark.parametrize(("typed", "says"), BAD, ids=[" ".join(t).splitlines()[0] for t, _ in BAD])
def test_bad_requests_are_said_and_nothing_is_written(typed, says, tmp_path, quiet):
    registry = ["--registry", str(quiet.registry)] if typed[0] == "nagios" else []
    answer = ask(["integrate", *typed, *registry, "--to", str(tmp_path / "to")], None)
    assert answer.code == 2, answer
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "to").exists()


def test_what_somebody_changed_is_not_written_over(tmp_path):
    said("integrate", "alertmanager", "--to", tmp_path)
    said("integrate", "alertmanager", "--to", tmp_path)  # the same again changes nothing
    (tmp_path / "alertmanager.yml").write_text("mine")
    with pytest.raises(AskedWrongly, match=r"alertmanager\.yml"):
        evermodel.integrate("alertmanager", to=tmp_path)
    assert (tmp_path / "alertmanager.yml").read_text() == "mine"
    evermodel.integrate("alertmanager", to=tmp_path, replace=True)
    assert "evermodel-webhook" in (tmp_path / "alertmanager.yml").read_text()


def test_python_says_what_there_is(tmp_path):
    with pytest.raises(NotFound, match="grafanna"):
        evermodel.integrate("grafanna", to=tmp_path)
    with pytest.raises(BadSetting, match="color"):
        evermodel.integrate("grafana", to=tmp_path, color="blue")
    (tmp_path / "file").write_text("")
    with pytest.raises(AskedWrongly, match="folder"):
        evermodel.integrate("alertmanager", to=tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
