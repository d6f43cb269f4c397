"""``make monitoring-up``: the whole stack on this machine, with a real drifting stream flowing through ``watch``.

    python scripts/monitoring_up.py [--seconds N] [--every SECONDS] [--to FOLDER] [--free-ports]

Bank Marketing (UCI, CC BY 4.0) from 2008 to 2010, in batches of 500 rows, through a deployed Keras model: the financial
crisis comes, and alarms open. Everything listens on loopback, lives in one folder, and ends with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import polars as pl

import evermodel
from evermodel.demo.demo import demo
from scripts import servers

NAME, BATCH = "existing_model", 500
PORTS = {"prometheus": 9090, "pushgateway": 9091, "alertmanager": 9093, "webhook": 9099, "exporter": 9464}


def main() -> None:
    given = arguments()
    stop = Stop()
    for signaled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signaled, stop.heard)
    ports = {kind: chosen(port, free=given.free_ports) for kind, port in PORTS.items()}
    folder = Path(given.to).absolute() / time.strftime("run-%Y%m%d-%H%M%S")
    with ExitStack() as up:
        try:
            say(f"Everything is in {folder}. Ctrl-C ends it.")
            registry, batches = deployed(folder)
            start(up, folder, registry, ports)
            stop.at_once = False
            flow(registry, batches, given.every, given.seconds, f"http://127.0.0.1:{ports['pushgateway']}", stop.told)
        except KeyboardInterrupt:
            stop.told.set()
        if stop.told.is_set():
            say("Stopping.")
        for signaled in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not leave a server behind
            signal.signal(signaled, signal.SIG_IGN)
    say("All stopped.")


class Stop:
    """Ctrl-C: while things start it interrupts; while rows flow it is asked for between two batches.

    An exception that a signal raises is lost where a library's callback happens to run, and with it the wish to end.
    """

    def __init__(self) -> None:
        self.told = threading.Event()
        self.at_once = True

    def heard(self, *_: object) -> None:
        self.told.set()
        if self.at_once:
            raise KeyboardInterrupt


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by itself after so long")
    parser.add_argument("--every", type=float, default=5.0, help="seconds from one batch to the next [5]")
    parser.add_argument("--to", default="monitoring_out", help="the folder to work in [monitoring_out]")
    parser.add_argument("--free-ports", action="store_true", help="any free ports instead of the usual ones")
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def chosen(port: int, *, free: bool) -> int:
    """The usual port, or a free one where it is taken."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            if not free:
                s.bind(("127.0.0.1", port))
                return port
    return servers.free_port()


def deployed(folder: Path) -> tuple[Path, Iterator[pl.DataFrame]]:
    """The registry with the model as it was deployed, and the rows that came after, in batches."""
    files = folder / "stream"
    demo("bank", to=files, files_only=True)
    registry = folder / "registry"
    say(
        str(
            evermodel.adopt(
                files / "existing_model.h5",
                data=files / "reference.csv",
                target="subscribed",
                name=NAME,
                registry=registry,
            )
        ).splitlines()[0]
    )
    stream = pl.concat([pl.read_csv(f) for f in sorted(files.glob("new_*.csv"))])
    return registry, (stream[i : i + BATCH] for i in range(0, stream.height, BATCH))


def start(up: ExitStack, folder: Path, registry: Path, ports: dict[str, int]) -> None:
    """Starts what is installed, and says which pages to open."""
    where = {kind: f"127.0.0.1:{port}" for kind, port in ports.items()}
    exporter = up.enter_context(evermodel.exporter(port=ports["exporter"], registry=registry))
    hook = up.enter_context(servers.webhook(ports["webhook"], say))
    config = folder / "config"
    evermodel.integrate(
        "prometheus",
        to=config,
        exporter=where["exporter"],
        pushgateway=where["pushgateway"],
        alertmanager=where["alertmanager"],
        interval="2s",
    )
    evermodel.integrate("alertmanager", to=config, webhook=hook.url, wait="2s", again="10s")
    evermodel.integrate("grafana", to=config / "grafana", prometheus=f"http://{where['prometheus']}", interval="2s")
    pages = [("Exporter", exporter.url)]
    if servers.program("pushgateway"):
        up.enter_context(servers.pushgateway(folder / "pushgateway", ports["pushgateway"]))
        pages.append(("Pushgateway", f"http://{where['pushgateway']}"))
    if servers.program("alertmanager"):
        up.enter_context(
            servers.alertmanager(folder / "alertmanager", config / "alertmanager.yml", ports["alertmanager"])
        )
        pages.append(("Alertmanager", f"http://{where['alertmanager']}"))
    if servers.program("prometheus"):
        up.enter_context(servers.prometheus(folder / "prometheus", config / "prometheus.yml", ports["prometheus"]))
        graph = "/graph?g0.tab=0&g0.expr=evermodel_quality&g1.tab=0&g1.expr=evermodel_alarm_open"
        pages.append(("Prometheus", f"http://{where['prometheus']}{graph}"))
    if servers.program("nagios"):
        evermodel.integrate("nagios", to=config, every="1m", registry=registry)
        core = up.enter_context(servers.nagios(folder / "nagios", config / "evermodel.cfg"))
        pages.append(("Nagios", f"{core.running.folder}/status.dat (Nagios Core alone has no pages)"))
    pages.append(("Grafana", f"{config}/grafana holds provisioning and dashboards for a Grafana that you have"))
    for kind, page in pages:
        say(f"  open  {kind:<13} {page}")
    for kind in ("prometheus", "pushgateway", "alertmanager", "nagios"):
        if not servers.program(kind):
            say(f"  {kind} is not here; 'sh scripts/parts' gets it, or says how.")


def flow(
    registry: Path, batches: Iterator[pl.DataFrame], every: float, seconds: float, gateway: str, stop: threading.Event
) -> None:
    """A batch each ``every`` seconds through watch, pushed where there is a Pushgateway; until ``stop``, or the end."""
    end = time.monotonic() + seconds
    for number, batch in enumerate(batches, start=1):
        began = time.monotonic()
        if began >= end or stop.is_set():
            return
        seen = evermodel.watch(NAME, batch, window="1000rows", registry=registry)
        if servers.program("pushgateway"):
            evermodel.push(NAME, to=gateway, registry=registry)
        opened = [f"{a.kind} of {a.subject}" for a in seen.status.open]
        told = f"{len(opened)} alarms open: {', '.join(opened[:3])} …" if opened else "quiet"
        say(f"batch {number}: {seen.status.counters['predictions']:,} rows so far; {told}")
        stop.wait(max(0.0, min(every - (time.monotonic() - began), end - time.monotonic())))
    say("The stream has ended; the servers stay up.")
    while time.monotonic() < end and not stop.wait(min(1.0, max(0.0, end - time.monotonic()))):
        pass


if __name__ == "__main__":
    main()
