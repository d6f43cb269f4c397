"""``make monitoring-up``: the stack comes up, the stream flows, and everything is gone afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from scripts import servers
from tests.integrations.conftest import needs

ROOT = Path(__file__).parents[2]


@needs("prometheus", "alertmanager", "pushgateway", "nagios")
def test_the_stack_comes_up_flows_and_ends_when_told(tmp_path):
    pytest.importorskip("keras", reason='pip install "evermodel[keras]": the demo\'s model is a Keras file')
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(ROOT / "scripts" / "monitoring_up.py"),
        "--seconds",
        "120",
        "--every",
        "0.5",
        "--free-ports",
        "--to",
        str(tmp_path),
    ]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        for line in process.stdout:
            lines.append(line)
            if re.search(r"webhook: firing", line):
                os.kill(process.pid, signal.SIGINT)
        code = process.wait(30)
    told = "".join(lines)
    assert code == 0, told
    assert "Traceback" not in told
    assert re.search(r"batch \d+: [\d,]+ rows so far", told)
    assert told.rstrip().endswith("All stopped.")
    pages = dict(re.findall(r"open  (\w+) +(\S+)", told))
    assert set(pages) == {"Exporter", "Pushgateway", "Alertmanager", "Prometheus", "Nagios", "Grafana"}
    for kind in ("Exporter", "Pushgateway", "Alertmanager", "Prometheus"):
        with pytest.raises(urllib.error.URLError):
            servers.get(pages[kind])
