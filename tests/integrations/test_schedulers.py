"""What ``integrate`` writes for cron, systemd and Kubernetes, read by the programs and schemas it is for."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cronsim import CronSim

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting
from scripts.servers import PARTS
from tests.cli.ground import ask


@pytest.mark.parametrize(
    ("every", "fields"),
    [("1m", "* * * * *"), ("15m", "*/15 * * * *"), ("1h", "0 * * * *"), ("6h", "0 */6 * * *"), ("1d", "0 0 * * *")],
)
def test_the_crontab_says_how_often(every, fields, tmp_path):
    done = evermodel.integrate("cron", to=tmp_path, every=every, registry=tmp_path / "registry", program=sys.executable)
    lines = [x for x in (tmp_path / "evermodel.cron").read_text().splitlines() if not x.startswith("#")]
    assert lines[0].startswith(fields + " ")
    assert f"maintain --once --registry {tmp_path / 'registry'}" in lines[0]
    assert CronSim(fields, dt.datetime(2026, 1, 1))
    assert done.files == ("evermodel.cron",)


@pytest.mark.parametrize("every", ["7m", "25h", "90s", "soon"])
def test_what_cron_has_no_word_for_is_said(every, tmp_path):
    with pytest.raises((BadSetting, AskedWrongly)):
        evermodel.integrate("cron", to=tmp_path, every=every, program=sys.executable)
    assert not list(tmp_path.iterdir())


def _cron() -> str | None:
    unpacked = PARTS / "sbin" / "cron"
    return str(unpacked) if unpacked.exists() else shutil.which("cron")


@pytest.mark.skipif(_cron() is None or os.getuid() != 0, reason="cron is not here, or not root: 'sh scripts/parts'")
def test_real_cron_runs_the_line(tmp_path, request):
    """cron itself, in the foreground, with our line in a spool of its own; a minute at most."""
    spool = Path("/var/spool/cron/crontabs")
    mine = spool / "root"
    running = Path("/var/run/crond.pid")  # cron leaves it behind when it ends
    if mine.exists() or (running.exists() and Path("/proc", running.read_text().strip() or "0").exists()):
        pytest.skip("a cron runs here already, or root has a crontab: we leave it alone")
    program = tmp_path / "evermodel"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n')
    program.chmod(0o755)
    evermodel.integrate("cron", to=tmp_path, every="1m", registry=tmp_path / "registry", program=str(program))
    (tmp_path / "registry").mkdir()
    made = [p for p in (spool.parent, spool) if not p.exists()]
    spool.mkdir(parents=True, exist_ok=True)
    mine.write_text((tmp_path / "evermodel.cron").read_text())
    mine.chmod(0o600)
    daemon = subprocess.Popen([str(_cron()), "-f"])
    try:
        until = time.monotonic() + 200
        while not (tmp_path / "said").exists() and time.monotonic() < until:
            time.sleep(0.5)
        assert (tmp_path / "said").read_text().split()[:3] == ["maintain", "--once", "--registry"]
    finally:
        daemon.terminate()
        daemon.wait()
        running.unlink(missing_ok=True)
        mine.unlink()
        for folder in reversed(made):
            folder.rmdir()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("user", ["", "daemon"])
def test_systemd_takes_the_units(user, tmp_path):
    to = tmp_path / "units"
    program = shutil.which("true")
    evermodel.integrate("systemd", to=to, every="15m", user=user, registry=tmp_path / "a registry", program=program)
    units = sorted(map(str, to.iterdir()))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "evermodel" not in checked.stderr, checked.stderr
    assert "OnUnitInactiveSec=900s" in (to / "evermodel-maintain.timer").read_text()


@pytest.mark.parametrize("words", [[], ["--secret", "database", "--every", "1h", "--claim", "models"]])
def test_kubernetes_takes_the_manifest(words, tmp_path):
    import kubernetes_validate

    answer = ask(
        ["integrate", "kubernetes", "--to", str(tmp_path), "--image", "example.com/evermodel:1", "--json", *words], None
    )
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["files"] == ["cronjob.yaml"]
    manifest = yaml.safe_load((tmp_path / "cronjob.yaml").read_text())
    kubernetes_validate.validate(manifest, "1.30", strict=True)
    manifest["spec"]["schedul"] = "often"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.30", strict=True)


@pytest.mark.parametrize(
    "wrong", [{"image": "a b"}, {"claim": "Models"}, {"memory": "lots"}, {"every": "7m"}, {"name": "x\ny"}]
)
def test_what_could_end_a_string_is_refused(wrong, tmp_path):
    with pytest.raises(AskedWrongly):
        evermodel.integrate("kubernetes", to=tmp_path, **{"image": "x", **wrong})
    assert not list(tmp_path.iterdir())
