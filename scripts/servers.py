"""Starts the real monitoring servers, and proxies, on loopback, each in a folder of its own, and stops them again.

Used by ``make monitoring-up``, by tests/systems and by bench/alert_end_to_end.py. The programs are those in the PATH or
those that ``scripts/parts`` unpacked into .cache/parts. Nothing is installed, and nothing outlives the ``with``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parents[1] / ".cache" / "parts" / "usr"
NAMES = {  # what a distribution, or the project itself, calls the program
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "pushgateway": ("prometheus-pushgateway", "pushgateway"),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
    "nagios": ("nagios4", "nagios"),
    "envoy": ("envoy",),
    "nginx": ("nginx",),
}


def program(kind: str) -> str | None:
    """Where the program is, or None."""
    for name in NAMES[kind]:
        for at in (PARTS / "bin" / name, PARTS / "sbin" / name):
            if at.exists():
                return str(at)
        for folder in (None, "/usr/sbin:/usr/local/sbin:/usr/local/nagios/bin"):
            if found := shutil.which(name, path=folder):
                return found
    return None


def needed(kind: str) -> str:
    found = program(kind)
    if not found:
        raise FileNotFoundError(f"{kind} is not here. 'sh scripts/parts' gets it.")
    return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(what: Callable[[], object], *, seconds: float = 20.0, every: float = 0.1, why: str = "") -> object:
    """What ``what`` returns as soon as it is true. Raises TimeoutError; a refused connection is not true yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except OSError:
            pass
        time.sleep(every)
    raise TimeoutError(f"{why or what} was not so within {seconds} s")


def get(url: str, *, headers: dict[str, str] | None = None, data: bytes | None = None) -> bytes:
    """The body. Raises urllib.error.HTTPError."""
    request = urllib.request.Request(url, data=data, headers=headers or {})  # noqa: S310 - our own servers
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return bytes(answer.read())


@dataclass
class Running:
    """A server that runs: where it answers, where it lives."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def running(command: list[str], folder: Path, url: str, ready: Callable[[], object]) -> Iterator[Running]:
    """The command, from when it is ready until the end of the ``with``; its words are in ``folder``/log."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        server = Running(url, folder, process)
        try:
            wait_for(lambda: _still(server) and ready(), why=f"{command[0]} answering at {url}")
            yield server
        finally:
            _stop(process)


def _still(server: Running) -> bool:
    if server.process.poll() is not None:
        raise RuntimeError(f"{server.process.args} ended with {server.process.returncode}:\n{server.log()[-2000:]}")
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and what it started: first by asking."""
    for ask, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, ask)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
            break
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def envoy(folder: Path, routes: Path, server: str) -> Iterator[Running]:
    """Envoy, which follows the routes in a file to the cluster "evermodel", the server at that address."""
    port, admin = free_port(), free_port()
    host, _, server_port = server.rpartition(":")
    filters = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{filters}.http.router.v3.Router"}
    manager = {
        "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "evermodel",
        "rds": {"route_config_name": "m", "config_source": {"path_config_source": {"path": str(routes)}}},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"endpoint": {"address": _address(host, int(server_port))}}
    cluster = {
        "name": "evermodel",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "evermodel", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "http", "address": _address("127.0.0.1", port), "filter_chains": [chain]}
    held = {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": _address("127.0.0.1", admin)},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "envoy.json"
    config.write_text(json.dumps(held))
    command = [needed("envoy"), "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1"]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder, url, lambda: get(f"{url}/v2/health/ready")) as process:
        yield process


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


@contextmanager
def nginx(folder: Path, split: Path, variable: str, server: str) -> Iterator[Running]:
    """nginx, which includes a file that sets the variable and sends it on to the server at that address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    (folder / "nginx.conf").write_text(f"""
        daemon off; worker_processes 1; pid {folder / "nginx.pid"}; error_log stderr; events {{}}
        http {{
          access_log off; {" ".join(paths)}
          include {split};
          server {{
            listen 127.0.0.1:{port};
            location / {{ proxy_set_header X-Evermodel-Version ${variable}; proxy_pass http://{server}; }}
          }}
        }}""")
    command = [needed("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with running(command, folder, url, lambda: get(f"{url}/v2/health/ready")) as process:
        yield process


@contextmanager
def prometheus(folder: Path, config: Path, port: int | None = None) -> Iterator[Running]:
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        needed("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
        *_pages("--web.local-assets", "web"),
    ]
    with running(command, folder, url, lambda: get(f"{url}/-/ready")) as server:
        yield server


def _pages(flag: str, folder: str) -> list[str]:
    """Debian's programs read their pages from /usr/share; here they lie where they were unpacked."""
    at = PARTS / "share" / "prometheus" / folder
    return [f"{flag}={at}"] if at.exists() else []


@contextmanager
def pushgateway(folder: Path, port: int | None = None) -> Iterator[Running]:
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        needed("pushgateway"),
        f"--web.listen-address=127.0.0.1:{port}",
        f"--persistence.file={folder / 'kept'}",
        *_pages("--web.local-assets", "pushgateway"),
    ]
    with running(command, folder, url, lambda: get(f"{url}/-/ready")) as server:
        yield server


@contextmanager
def alertmanager(folder: Path, config: Path, port: int | None = None) -> Iterator[Running]:
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *_with_templates(),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(command, folder, url, lambda: get(f"{url}/-/ready")) as server:
        yield server


def _with_templates() -> list[str]:
    """Debian's Alertmanager reads its templates from /usr/share, and no flag says otherwise. Where it is unpacked only,
    it runs in a mount namespace of its own, in which /usr/share is the unpacked one; that needs no root."""
    at = needed("alertmanager")
    if not at.startswith(str(PARTS)) or Path("/usr/share/prometheus/alertmanager/default.tmpl").exists():
        return [at]
    inside = 'mount --bind "$0" /usr/share && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, str(PARTS / "share"), at]


@dataclass
class Hook:
    """A webhook that listens: what came, and when (``time.time()``)."""

    url: str
    came: list[tuple[float, dict[str, object]]] = field(default_factory=list)

    def first(self, status: str, **labels: str) -> float | None:
        """When an alert with this status and these labels first came."""
        for at, body in self.came:
            for alert in body.get("alerts", []):  # type: ignore[attr-defined]
                if alert["status"] == status and labels.items() <= alert["labels"].items():
                    return at
        return None


@contextmanager
def webhook(port: int = 0, say: Callable[[str], None] | None = None) -> Iterator[Hook]:
    """Listens for Alertmanager's messages."""
    hook = Hook("")

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.came.append((time.time(), body))
            for alert in body["alerts"] if say else ():
                say(f"webhook: {alert['status']} {alert['labels']['alertname']} {alert['annotations'].get('summary')}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    hook.url = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


NAGIOS = """\
log_file={at}/nagios.log
cfg_file={objects}
cfg_file={at}/contacts.cfg
object_cache_file={at}/objects.cache
precached_object_file={at}/objects.precache
resource_file={at}/resource.cfg
status_file={at}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={group}
check_external_commands=1
command_file={at}/nagios.cmd
query_socket={socket}
lock_file={at}/nagios.pid
temp_file={at}/nagios.tmp
temp_path={at}
check_result_path={at}/results
state_retention_file={at}/retention.dat
event_broker_options=0
use_syslog=0
check_result_reaper_frequency=1
interval_length={interval}
enable_notifications=0
accept_passive_service_checks=1
execute_service_checks=1
execute_host_checks=1
service_inter_check_delay_method=n
host_inter_check_delay_method=n
service_interleave_factor=1
check_for_updates=0
service_check_timeout=120
illegal_object_name_chars=`~!$%^&*|'"<>?,()=
illegal_macro_output_chars=`~$&|'"<>
"""
CONTACTS = """\
define timeperiod {
    timeperiod_name 24x7
    alias           always
    sunday 00:00-24:00
    monday 00:00-24:00
    tuesday 00:00-24:00
    wednesday 00:00-24:00
    thursday 00:00-24:00
    friday 00:00-24:00
    saturday 00:00-24:00
}
define command {
    command_name    say_nothing
    command_line    /bin/true
}
define contact {
    contact_name                    admin
    host_notification_period        24x7
    service_notification_period     24x7
    host_notification_options       d,u,r
    service_notification_options    w,u,c,r
    host_notification_commands      say_nothing
    service_notification_commands   say_nothing
}
define contactgroup {
    contactgroup_name   admins
    members             admin
}
"""


@dataclass
class Nagios:
    """A Nagios Core that runs in the foreground."""

    running: Running

    @property
    def command_file(self) -> Path:
        return self.running.folder / "nagios.cmd"

    def services(self) -> dict[str, dict[str, str]]:
        """Service description -> what status.dat says of it."""
        found, block = {}, None
        for line in (self.running.folder / "status.dat").read_text(errors="replace").splitlines():
            line = line.strip()
            if line == "servicestatus {":
                block = {}
            elif line == "}" and block is not None:
                found[block["service_description"]] = block
                block = None
            elif block is not None and "=" in line:
                key, _, value = line.partition("=")
                block[key] = value
        return found

    def state(self, service: str) -> int | None:
        """0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; None while it was not checked yet."""
        told = self.services().get(service, {})
        return int(told["current_state"]) if told.get("has_been_checked") == "1" else None

    def check_now(self, host: str, service: str) -> None:
        """Asks Nagios to run the active check at once, as the button of its page does."""
        now = int(time.time())
        with self.command_file.open("w") as pipe:
            pipe.write(f"[{now}] SCHEDULE_FORCED_SVC_CHECK;{host};{service};{now}\n")


def nagios_config(folder: Path, objects: Path, *, interval: int = 60, socket: Path | None = None) -> Path:
    """A nagios.cfg of its own around the objects that ``evermodel integrate nagios`` wrote.

    ``socket``: of its queries, a path of 107 bytes at most, as the kernel has it; beyond that Nagios aborts.
    """
    import grp
    import pwd

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results").mkdir(exist_ok=True)
    (folder / "contacts.cfg").write_text(CONTACTS)
    (folder / "resource.cfg").write_text("")
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    config = folder / "nagios.cfg"
    told = {"at": folder, "objects": objects, "user": user, "group": group, "interval": interval}
    config.write_text(NAGIOS.format(**told, socket=socket or folder / "nagios.qh"))
    return config


@contextmanager
def nagios(folder: Path, objects: Path, *, interval: int = 60) -> Iterator[Nagios]:
    """Nagios Core 4; ``interval``: seconds that count as one of its minutes."""
    there = lambda: (folder / "nagios.cmd").exists() and (folder / "status.dat").exists()  # noqa: E731
    with tempfile.TemporaryDirectory(prefix="nagios-") as short:
        config = nagios_config(folder, objects, interval=interval, socket=Path(short) / "qh")
        with running([needed("nagios"), str(config)], folder, "", there) as server:
            yield Nagios(server)
