"""The exporter as Prometheus meets it: over HTTP."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error

import pytest

import evermodel
from evermodel.core.errors import AskedWrongly
from scripts import servers
from tests.cli.ground import ask

TOKEN = "a-token-nobody-knows"  # noqa: S105


def status_of(url: str, **more) -> int:
    try:
        servers.get(url, **more)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def test_a_scrape_reads_the_registry_anew(registry):
    from tests.updating.conftest import rows

    with evermodel.exporter("m", port=0, registry=registry) as server:
        assert server.host == "127.0.0.1"
        assert b'evermodel_rows_total{model="m"} 3000.0' in servers.get(server.url)
        evermodel.watch("m", rows(200, 31), registry=registry)
        assert b'evermodel_rows_total{model="m"} 3200.0' in servers.get(server.url)


def test_it_speaks_openmetrics_where_asked(quiet):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    with evermodel.exporter(port=0, registry=quiet.registry) as server:
        asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
        text = servers.get(server.url, headers=asked).decode()
        assert text.endswith("# EOF\n")
        assert list(text_string_to_metric_families(text))


def test_with_a_token_nobody_reads_without_it(quiet):
    with evermodel.exporter("m", port=0, token=TOKEN, registry=quiet.registry) as server:
        assert status_of(server.url) == 401
        assert status_of(server.url, headers={"Authorization": f"Bearer {TOKEN}x"}) == 401
        assert status_of(server.url, headers={"Authorization": "Bearer é".encode().decode("latin-1")}) == 401
        assert status_of(server.url, headers={"Authorization": f"Bearer {TOKEN}"}) == 200


def test_only_metrics_and_only_get(quiet):
    with evermodel.exporter("m", port=0, registry=quiet.registry) as server:
        top = server.url.removesuffix("/metrics")
        assert status_of(f"{top}/etc/passwd") == 404
        assert status_of(server.url, data=b"x") == 405
        assert b"/metrics" in servers.get(f"{top}/")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_beyond_this_machine_it_asks_for_a_token(host, quiet):
    with pytest.raises(AskedWrongly, match="token"):
        evermodel.exporter("m", port=0, host=host, registry=quiet.registry)


def test_a_port_in_use_is_said(quiet):
    with evermodel.exporter("m", port=0, registry=quiet.registry) as server:
        answer = ask(["metrics", "m", "--port", str(server.port)], quiet.registry)
    assert answer.code == 2
    assert "--port" in answer.err


@pytest.mark.parametrize("held", ["", "short", "nobody-knows\u00e9-this-one"])
def test_a_token_file_must_hold_a_token(held, quiet, tmp_path):
    (tmp_path / "token").write_text(held)
    answer = ask(["metrics", "m", "--token-file", str(tmp_path / "token")], quiet.registry)
    assert answer.code == 2
    assert "16" in answer.err


@pytest.mark.parametrize(
    ("package", "typed"),
    [
        ("prometheus_client", ["metrics", "--once"]),
        ("prometheus_client", ["metrics", "--port", "0"]),
        ("prometheus_client", ["metrics", "--push", "http://127.0.0.1:1"]),
        ("nagiosplugin", ["check", "m"]),
        ("grafana_foundation_sdk", ["integrate", "grafana", "--to", "x"]),
    ],
)
def test_a_missing_extra_says_what_to_type(package, typed, quiet, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    monkeypatch.chdir(tmp_path)
    answer = ask(typed, None if typed[0] == "integrate" else quiet.registry)
    assert answer.code == (3 if typed[0] == "check" else 2)
    assert 'pip install "evermodel[monitor]"' in answer.out + answer.err
    assert not list(tmp_path.iterdir())


def test_the_command_serves_until_it_is_told_to_stop(program, quiet):
    command = [str(program), "metrics", "m", "--port", "0", "--registry", str(quiet.registry)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://\S+", process.stderr.readline())[0]
            assert b"evermodel_quality{" in servers.get(url)
        finally:
            os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("host, code", [("evil.example", 421), ("localhost:9464", 200), ("[::1]:9464", 200)])
def test_a_foreign_host_header_is_not_answered_without_a_token(quiet, host, code):
    with evermodel.exporter(port=0, registry=quiet.registry) as server:
        assert status_of(server.url, headers={"Host": host}) == code


def test_slow_clients_take_no_more_than_their_share(quiet, monkeypatch, capfd):
    monkeypatch.setattr("evermodel.integrations.exporter.PATIENCE", 1.0)
    with evermodel.exporter(port=0, registry=quiet.registry) as server:
        before = threading.active_count()
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        time.sleep(0.3)
        assert threading.active_count() - before <= 2 * 32 + 2  # a thread and its timer each
        time.sleep(1.5)  # their time is over
        assert status_of(server.url) == 200
        for connection in slow:
            connection.close()
    assert "Traceback" not in capfd.readouterr().err
