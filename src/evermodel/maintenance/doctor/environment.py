"""What is around the models: fresh rows and labels, room on the disk, certificates, tokens, the monitoring stack."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from evermodel.core.errors import EvermodelError
from evermodel.core.records.doctor_finding import Finding
from evermodel.maintenance.doctor.target import DoctorTarget
from evermodel.monitoring.monitor_state import read_state

DAY = 86_400.0
LATE = 3.0  # times the usual time between two arrivals
LITTLE, SCARCE = 1_000_000_000, 100_000_000  # free bytes
SOON = 14 * DAY  # before a certificate or a token ends
ADDRESS = re.compile(r"https://[^\s\"'<>\\]+")
TOKEN = re.compile(r"^[\w-]+\.([\w-]+)\.[\w-]*$")


def check_freshness(target: DoctorTarget) -> Iterator[Finding]:
    """Rows and labels come as often as they used to, where a monitor has seen them come."""
    for name in target.models():
        try:
            state, _ = read_state(target.store, name)
        except (EvermodelError, OSError, ValueError, KeyError) as error:
            what = f"its monitor cannot be read ({getattr(error, 'message', error)})"
            repair = "evermodel doctor --repair, with a second copy or --from BACKUP"
            yield Finding("freshness", what, name, "critical", repair)
            continue
        for kind, times in (state.arrivals if state else {}).items():
            gaps = sorted(b - a for a, b in zip(times, times[1:], strict=False))
            usual = max(gaps[len(gaps) // 2], 60.0) if len(gaps) >= 3 else DAY * 7
            age = time.time() - max(times, default=time.time())
            if age > max(LATE * usual, DAY):
                what = f"no {kind} for {age / DAY:.1f} days; they used to come every {usual / DAY:.2g} days"
                yield Finding("freshness", what, name, "warning", f"evermodel watch {name} ROWS; did the feed stop?")


def check_disk(target: DoctorTarget) -> Iterator[Finding]:
    """Room for more versions."""
    free = shutil.disk_usage(target.store.registry).free
    if free < LITTLE:
        severity = "critical" if free < SCARCE else "warning"
        repair = "evermodel gc --keep-versions 5 --dry-run"
        yield Finding("disk", f"{free / 1e6:,.0f} MB are free", str(target.store.registry), severity, repair)


def check_tokens(target: DoctorTarget) -> Iterator[Finding]:
    """JSON web tokens in EVERMODEL_… environment variables that end soon. Their contents are never shown."""
    for name, value in os.environ.items():
        match = TOKEN.match(value) if name.startswith("EVERMODEL_") else None
        try:
            ends = json.loads(base64.urlsafe_b64decode(match[1] + "==")).get("exp") if match else None
        except (ValueError, AttributeError):
            continue
        if isinstance(ends, (int, float)) and ends - time.time() < SOON:
            yield Finding("tokens", _ends(float(ends)), name, "warning", "renew it")


def check_certificates(target: DoctorTarget) -> Iterator[Finding]:
    """Certificates of the https addresses that policies and names mention. Only where the user asked for the
    network."""
    for host, port in sorted(_hosts(target)) if target.options.network else ():
        where = f"https://{host}:{port}"
        try:
            with (
                socket.create_connection((host, port), timeout=10) as bare,
                ssl.create_default_context().wrap_socket(bare, server_hostname=host) as safe,
            ):
                ends = ssl.cert_time_to_seconds(str((safe.getpeercert() or {}).get("notAfter")))
        except ssl.SSLCertVerificationError as error:
            yield Finding("certificates", f"is not accepted: {error.verify_message}", where, "critical", "renew it")
            continue
        except (OSError, ValueError) as error:
            yield Finding("certificates", f"cannot be reached ({error})", where, "warning", "Is it up?")
            continue
        if ends - time.time() < SOON:
            yield Finding("certificates", _ends(float(ends)), where, "warning", "renew it")


def _ends(moment: float) -> str:
    days = (moment - time.time()) / DAY
    return f"ends in {days:.1f} days" if days > 0 else f"ended {-days:.1f} days ago"


def _hosts(target: DoctorTarget) -> set[tuple[str, int]]:
    texts = []
    for row in target.rows["aliases"]:
        if len(row["target"]) == 64:
            try:
                texts.append(target.store.get_blob(row["target"]).read_bytes()[:1_000_000].decode(errors="ignore"))
            except (EvermodelError, OSError):
                continue
    setup = target.store.registry / "store.toml"
    texts.append(setup.read_text(errors="ignore") if setup.is_file() else "")
    found = [urllib.parse.urlsplit(a) for t in texts for a in ADDRESS.findall(t)]
    return {(str(a.hostname), a.port or 443) for a in found if a.hostname}


def check_monitoring(target: DoctorTarget) -> Iterator[Finding]:
    """The Prometheus that was named has each model's series, and its target answers."""
    url = target.options.prometheus
    if not url:
        return
    query = urllib.parse.urlencode({"query": "evermodel_monitor_up"})
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError("it must start with http:// or https://")
        with urllib.request.urlopen(f"{url.rstrip('/')}/api/v1/query?{query}", timeout=10) as answer:  # noqa: S310
            found = json.load(answer)["data"]["result"]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("monitoring", f"Prometheus does not answer ({error})", url, "critical", "Is it up?")
        return
    seen = {r["metric"].get("model"): float(r["value"][1]) for r in found}
    for name in target.models():
        if name not in seen:
            repair = f"evermodel metrics {name} --port 9464, scraped as 'evermodel integrate prometheus' writes it"
            yield Finding("monitoring", "Prometheus has no series of it", name, "critical", repair)
        elif seen[name] != 1:
            yield Finding("monitoring", "its monitor cannot be read by the exporter", name, "critical", "see above")
