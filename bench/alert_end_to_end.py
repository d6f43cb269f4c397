"""From bad rows to somebody who knows: seconds to the metric, Prometheus, Alertmanager, the webhook, and Nagios.

    python bench/alert_end_to_end.py [--times 3]

A real model under a real ``watch``; real Prometheus, Alertmanager and Nagios Core (as 'sh scripts/parts' gets them),
all with intervals of one second, so that what is timed is the path and not the waiting that a user chooses. Bar: the
webhook within 10 s of the rows' arrival, Nagios CRITICAL within 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
import urllib.parse
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import evermodel  # noqa: E402
from scripts import servers  # noqa: E402
from tests.cli.ground import make_ground  # noqa: E402
from tests.updating.conftest import rows  # noqa: E402

BAR = 10.0
STEPS = (
    "watch returns",
    "metric exported",
    "Prometheus has it",
    "Alertmanager has it",
    "webhook received",
    "Nagios CRITICAL",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    runs = []
    for number in range(parser.parse_args().times):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(once(Path(folder), number))
            print(f"run {number + 1}: " + ", ".join(f"{k} {v:.2f} s" for k, v in runs[-1].items()), flush=True)
    print(f"\n{'seconds since the bad rows came':<34}{'median':>8}{'worst':>8}")
    for step in STEPS:
        took = [run[step] for run in runs]
        print(f"{step:<34}{statistics.median(took):>8.2f}{max(took):>8.2f}")
    failed = [step for step in ("webhook received", "Nagios CRITICAL") if max(run[step] for run in runs) > BAR]
    print(f"{'FAIL' if failed else 'PASS'}: webhook and Nagios within {BAR:.0f} s" + (f" ({failed})" if failed else ""))
    return 1 if failed else 0


def once(folder: Path, number: int) -> dict[str, float]:
    """Quiet rows first, until everybody agrees that all is well; then rows on which the model is wrong."""
    ground = make_ground(folder / "ground")
    for seed in (10, 11, 12):
        evermodel.watch("m", rows(1000, seed + 10 * number), window="1000rows", registry=ground.registry)
    with ExitStack() as up:
        hook = up.enter_context(servers.webhook())
        exporter = up.enter_context(evermodel.exporter(port=0, registry=ground.registry))
        where = f"{exporter.host}:{exporter.port}"
        evermodel.integrate("alertmanager", to=folder, webhook=hook.url, wait="1s", again="1s")
        manager = up.enter_context(servers.alertmanager(folder / "alertmanager", folder / "alertmanager.yml"))
        evermodel.integrate("prometheus", to=folder, exporter=where, alertmanager=manager.address, interval="1s")
        server = up.enter_context(servers.prometheus(folder / "prometheus", folder / "prometheus.yml"))
        evermodel.integrate("nagios", to=folder, every="1m", program=str(program(folder)), registry=ground.registry)
        nagios = up.enter_context(servers.nagios(folder / "nagios", folder / "evermodel.cfg", interval=1))
        servers.wait_for(lambda: query(server, "evermodel_monitor_up == 1"), seconds=60)
        servers.wait_for(lambda: nagios.state("m alarms") == 0, seconds=60, why="Nagios OK")
        assert not hook.came
        return timed(ground.registry, exporter.url, server, manager, hook, nagios)


def timed(
    registry: Path,
    exported: str,
    server: servers.Running,
    manager: servers.Running,
    hook: servers.Hook,
    nagios: servers.Nagios,
) -> dict[str, float]:
    """Seconds from when the rows come until each of them knows."""
    bad = rows(1000, 99, angle=1.5)
    began = time.time()
    evermodel.watch("m", bad, registry=registry)
    known = {"watch returns": time.time()}
    opened = re.compile(rb'evermodel_alarm_open\{alarm="quality",level="critical"[^}]*\} 1')
    asks = {
        "metric exported": lambda: opened.search(servers.get(exported)),
        "Prometheus has it": lambda: query(server, 'evermodel_alarm_open{alarm="quality"} == 1'),
        "Alertmanager has it": lambda: alerts(manager),
        "webhook received": lambda: hook.first("firing", alertname="EvermodelAlarmCritical", alarm="quality"),
        "Nagios CRITICAL": lambda: nagios.state("m alarms") == 2,
    }
    end = began + 120
    while asks and time.time() < end:
        for step in [s for s, ask in asks.items() if ask()]:
            known[step] = time.time()
            del asks[step]
        time.sleep(0.05)
    if asks:
        raise TimeoutError(f"{', '.join(asks)} not within 120 s")
    known["webhook received"] = hook.first("firing", alertname="EvermodelAlarmCritical", alarm="quality")
    return {step: known[step] - began for step in STEPS}


def query(server: servers.Running, expr: str) -> list:
    asked = f"{server.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
    return json.loads(servers.get(asked))["data"]["result"]


def alerts(manager: servers.Running) -> list:
    told = json.loads(servers.get(f"{manager.url}/api/v2/alerts"))
    return [a for a in told if a["labels"].get("alarm") == "quality"]


def program(folder: Path) -> Path:
    """The command as Nagios starts it: a new Python each time, as in service."""
    at = folder / "evermodel"
    at.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT / 'src'} exec {sys.executable} -W ignore -c "
        "'from evermodel.cli import main; main()' \"$@\"\n"
    )
    at.chmod(0o755)
    return at


if __name__ == "__main__":
    raise SystemExit(main())
