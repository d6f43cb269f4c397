"""Peers we are measured beside, each in a virtual environment of its own under bench/out, made on demand."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

OUT = Path(__file__).parent / "out"
PACKAGES = {
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "nannyml": ("nannyml==0.13.1", "statsmodels"),
    "river": ("river>=0.22",),
}


def python_of(peer: str) -> Path:
    """The interpreter that has the peer; installs it the first time (a minute or two, from the package index)."""
    at = OUT / "peers" / peer
    python = at / "bin" / "python"
    if (at / "ready").exists():
        return python
    print(f"installing {', '.join(PACKAGES[peer])} into {at}", file=sys.stderr, flush=True)
    venv.create(at, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[peer]]
    subprocess.run(command, check=True)
    (at / "ready").touch()
    return python


def run(peer: str, script: str, *words: str, folder: Path | None = None, timeout: float = 3_600) -> str:
    """What a script printed that ran with the peer, two threads; the peers' own usage reports switched off."""
    env = {
        **os.environ,
        "PYTHONPATH": "",
        "NML_DISABLE_USAGE_LOGGING": "1",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "2",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [str(python_of(peer)), "-c", script, *words],
        cwd=folder or OUT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{peer}: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    for name in PACKAGES:
        print(name, python_of(name))
