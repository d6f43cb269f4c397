"""A real Prometheus, Pushgateway and Alertmanager, with what a real monitor says."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import evermodel
from scripts import servers
from tests.cli.ground import ask
from tests.integrations.conftest import BAD, needs, said
from tests.updating.conftest import rows

GRAFANA = {
    "$__rate_interval": "10s",
    "$__interval": "10s",
    "$__range": "1h",
    "$model": "m",
    "$metric": "auc",
    "$statistic": "psi",
}


def ask_prometheus(server: servers.Running, expr: str, *, window: float | None = None) -> list[dict]:
    """The series an expression has now, or had at some time in the last ``window`` seconds."""
    now = time.time()
    how = (
        {"query": expr, "time": now}
        if window is None
        else {"query": expr, "start": now - window, "end": now, "step": 1}
    )
    kind = "query" if window is None else "query_range"
    body = json.loads(servers.get(f"{server.url}/api/v1/{kind}?{urllib.parse.urlencode(how)}"))
    assert body["status"] == "success", body
    return body["data"]["result"]


def value(server: servers.Running, expr: str) -> float | None:
    found = ask_prometheus(server, expr)
    return float(found[0]["value"][1]) if found else None


@contextmanager
def scraped(registry: Path, folder: Path, *typed: str):
    """A Prometheus that scrapes our exporter of this registry every second."""
    with evermodel.exporter(port=0, registry=registry) as exporter:
        where = f"{exporter.host}:{exporter.port}"
        said("integrate", "prometheus", "--to", folder, "--exporter", where, "--interval", "1s", *typed)
        with servers.prometheus(folder / "prometheus", folder / "prometheus.yml") as server:
            servers.wait_for(lambda: ask_prometheus(server, "evermodel_monitor_up"), why="a first scrape")
            yield server


@pytest.fixture(scope="module")
def watching(alarmed, tmp_path_factory):
    """Prometheus with ten seconds of a registry on which everything has happened."""
    if servers.program("prometheus") is None:
        pytest.skip("prometheus not here; 'sh scripts/parts' gets it")
    with scraped(alarmed, tmp_path_factory.mktemp("watching")) as server:
        ready = "count_over_time(evermodel_rows_total[10s]) > 5 and on () model:evermodel_rows:rate1h"
        servers.wait_for(lambda: ask_prometheus(server, ready), seconds=60)
        yield server


def panels() -> list[tuple[str, str, dict]]:
    """(dashboard, panel, target) of all targets of all dashboards."""
    from evermodel.integrations.config.dashboards import dashboards

    boards = {name: json.loads(text) for name, text in dashboards().items()}
    return [
        (n.removesuffix(".json"), p["title"], t) for n, b in boards.items() for p in b["panels"] for t in p["targets"]
    ]


@pytest.mark.parametrize(("board", "panel", "target"), panels(), ids=[f"{b}: {p} {t['refId']}" for b, p, t in panels()])
def test_every_panels_query_returns_data(board, panel, target, watching):
    expr = target["expr"]
    for name, stands_for in GRAFANA.items():
        expr = expr.replace(name, stands_for)
    assert "$" not in expr
    if "_estimated" in expr:  # accuracy is what can be estimated without labels
        expr = expr.replace('metric="auc"', 'metric="accuracy"')
    found = ask_prometheus(watching, expr, window=None if target.get("instant") else 10)
    assert found, f"{board}, {panel}: no data for {expr}"
    legend = target["legendFormat"]
    for label in [part.split("}}")[0] for part in legend.split("{{")[1:]]:
        assert any(label in series["metric"] for series in found), f"{legend} names no label of {expr}"


def test_choices_have_values_and_annotations_fall_when_it_happened(watching):
    from evermodel.integrations.config.dashboards import dashboards

    for text in dashboards().values():
        board = json.loads(text)
        for variable in board["templating"]["list"]:
            series, _, label = variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
            found = ask_prometheus(watching, series.replace("$model", "m"))
            assert {s["metric"][label] for s in found}, variable["name"]
        moments = {}
        for query in board["annotations"]["list"]:
            found = ask_prometheus(watching, query["expr"].replace("$model", "m"), window=60)
            moments[query["name"]] = [float(s["values"][-1][1]) / 1000 for s in found]
        verdicts = [at for name, found in moments.items() if name.startswith("update") for at in found]
        assert len(verdicts) == 1
        assert time.time() - 3600 < verdicts[0] < time.time()
        assert moments["alarm opened"]


@needs("prometheus")
def test_what_is_recorded_is_what_is_measured(watching, alarmed):
    exposed = evermodel.expose(registry=alarmed).text
    line = next(x for x in exposed.splitlines() if x.startswith('evermodel_quality_baseline{metric="auc"'))
    change = value(watching, 'model_metric:evermodel_quality:change_since_baseline{metric="auc"}')
    quality = value(watching, 'evermodel_quality{metric="auc",slice=""}')
    assert change == pytest.approx(quality - float(line.split()[-1]))
    labels = value(watching, "model:evermodel_labels_per_row:ratio")
    assert 0 < labels < 1  # the last thousand rows came without


@needs("prometheus")
def test_prometheus_shows_its_token(quiet, tmp_path):
    token = tmp_path / "token"
    token.write_text("a-token-nobody-knows\n")
    with evermodel.exporter(port=0, token=token.read_text().strip(), registry=quiet.registry) as exporter:
        where = f"{exporter.host}:{exporter.port}"
        said(
            "integrate", "prometheus", "--to", tmp_path, "--exporter", where, "--interval", "1s", "--token-file", token
        )
        with servers.prometheus(tmp_path / "prometheus", tmp_path / "prometheus.yml") as server:
            servers.wait_for(lambda: value(server, "evermodel_monitor_up") == 1, why="a scrape with the token")
            assert value(server, 'up{job="evermodel"}') == 1
            token.write_text("another-token-altogether\n")
            servers.wait_for(lambda: value(server, 'up{job="evermodel"}') == 0, why="a refused scrape")


@needs("prometheus", "alertmanager")
def test_an_alarm_reaches_the_webhook_and_so_does_its_end(registry, tmp_path):
    with ExitStack() as up:
        hook = up.enter_context(servers.webhook())
        said("integrate", "alertmanager", "--to", tmp_path, "--webhook", hook.url, "--wait", "1s", "--again", "1s")
        manager = up.enter_context(servers.alertmanager(tmp_path / "alertmanager", tmp_path / "alertmanager.yml"))
        server = up.enter_context(scraped(registry, tmp_path, "--alertmanager", manager.address))
        time.sleep(2)
        assert not hook.came, "nothing is wrong yet"
        evermodel.watch("m", rows(1000, 21, angle=BAD), registry=registry)
        wanted = {"alertname": "EvermodelAlarmCritical", "model": "m", "alarm": "quality"}
        servers.wait_for(lambda: hook.first("firing", **wanted), why="the webhook being told")
        told = next(a for _, body in hook.came for a in body["alerts"] if a["labels"]["alarm"] == "quality")
        assert "evermodel check m" in told["annotations"]["description"]
        assert value(server, 'ALERTS{alertname="EvermodelAlarmCritical",alarm="quality"}') == 1
        for seed in range(40, 60):
            if not evermodel.watch("m", rows(1000, seed), registry=registry).alarm:
                break
        servers.wait_for(lambda: hook.first("resolved", **wanted), why="the webhook being told that it is over")


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    if servers.program("pushgateway") is None:
        pytest.skip("pushgateway not here; 'sh scripts/parts' gets it")
    with servers.pushgateway(tmp_path_factory.mktemp("gate")) as server:
        yield server


def pushed(gate: servers.Running) -> list[str]:
    lines = servers.get(f"{gate.url}/metrics").decode().splitlines()
    return [x for x in lines if x.startswith("evermodel_")]


def test_a_push_replaces_its_model_and_leaves_the_others(gate, registry, quiet):
    evermodel.adopt(quiet.model, data=quiet.reference, target="y", name="other", time="when", registry=registry)
    assert "job model_performance, m, other" in said("metrics", "--push", gate.url, registry=registry)
    lines = pushed(gate)
    assert all('job="model_performance"' in x and 'instance=""' in x for x in lines)
    assert [x for x in lines if x.startswith("evermodel_rows_total") and 'model="m"' in x and x.endswith(" 3000")]
    assert [x for x in lines if x.startswith("evermodel_version_info") and 'model="other"' in x]
    before = {x.rpartition(" ")[0] for x in lines if 'model="m"' in x}
    made = evermodel.update("m", rows(1500, 20), registry=registry, strategy="refit")
    if made.decision != "promote":
        evermodel.promote("m", made.challenger, registry=registry)
    said("metrics", "m", "--push", gate.url, registry=registry)
    after = {x.rpartition(" ")[0] for x in pushed(gate) if 'model="m"' in x}
    stale = [x for x in after if x.startswith("evermodel_version_info") and 'version="v1"' in x]
    assert not stale, "the version that is no longer in service is gone there too"
    assert before != after
    said("metrics", "m", "--push", gate.url, "--delete", registry=registry)
    assert not [x for x in pushed(gate) if 'model="m"' in x]
    assert [x for x in pushed(gate) if 'model="other"' in x]
    said("metrics", "other", "--push", gate.url, "--delete", registry=registry)


@needs("prometheus")
def test_what_is_pushed_is_what_prometheus_sees(gate, registry, tmp_path):
    said("metrics", "m", "--push", gate.url, "--job", "nightly", registry=registry)
    said("integrate", "prometheus", "--to", tmp_path, "--pushgateway", gate.address, "--interval", "1s")
    with servers.prometheus(tmp_path / "prometheus", tmp_path / "prometheus.yml") as server:
        expr = 'evermodel_rows_total{model="m",job="nightly"}'
        servers.wait_for(lambda: value(server, expr) == 3000, why=expr)
    said("metrics", "m", "--push", gate.url, "--job", "nightly", "--delete", registry=registry)


def test_watch_pushes_what_it_has_just_seen(gate, registry, tmp_path):
    rows(500, 33).write_csv(tmp_path / "new.csv")
    answer = ask(["watch", "m", str(tmp_path / "new.csv"), "--push", gate.url, "--json"], registry)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["counters"]["predictions"] == 3500
    assert [x for x in pushed(gate) if x.startswith("evermodel_rows_total") and x.endswith(" 3500")]
    said("metrics", "m", "--push", gate.url, "--delete", registry=registry)
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    answer = ask(["watch", "m", str(tmp_path / "new.csv"), "--push", nobody], registry)
    assert (answer.code, "not reached" in answer.err) == (1, True)
    assert "3,500 rows" in answer.out, "what was seen is kept, and said"


def test_a_gateway_that_is_not_there_or_refuses_is_said(gate, quiet):
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    for url, says in ((nobody, "not reached"), (f"{gate.url}/nowhere", "404"), ("file:///etc/passwd", "URL")):
        answer = ask(["metrics", "m", "--push", url], quiet.registry)
        assert answer.code in (1, 2)
        assert says in answer.err
        assert "Traceback" not in answer.err
    assert ask(["metrics", "--push", gate.url, "--delete"], quiet.registry).code == 2
    assert ask(["metrics", "m", "--delete"], quiet.registry).code == 2


@needs("prometheus", "promtool")
def test_the_shipped_configuration_runs_and_its_rules_are_healthy(watching):
    groups = json.loads(servers.get(f"{watching.url}/api/v1/rules"))["data"]["groups"]
    found = [r for g in groups for r in g["rules"]]
    assert len(found) == 12
    assert [r["name"] for r in found if r["health"] != "ok"] == []
    targets = json.loads(servers.get(f"{watching.url}/api/v1/targets"))["data"]["activeTargets"]
    assert [t["health"] for t in targets] == ["up"]
    assert (
        subprocess.run(
            [servers.needed("promtool"), "query", "instant", watching.url, "up"], capture_output=True
        ).returncode
        == 0
    )
