"""A model with two versions, and the real server on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

from tests.cli.ground import make_ground
from tests.updating.conftest import rows

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory) -> Path:
    """The registry of the model "m" with v1 in service and v2 beside it, which answers otherwise. Not to be changed."""
    import evermodel

    ground = make_ground(tmp_path_factory.mktemp("serve"))
    evermodel.update("m", rows(1500, 20, angle=1.5), registry=ground.registry, strategy="refit")
    for version in ("v2", "v1"):
        with contextlib.suppress(evermodel.EvermodelError):  # it is in service already
            evermodel.promote("m", version, registry=ground.registry)
    return ground.registry


@pytest.fixture
def registry(two_versions, tmp_path) -> Path:
    """A registry of the test's own."""
    return Path(shutil.copytree(two_versions, tmp_path / "registry"))


@pytest.fixture
def client(registry) -> Iterator[httpx.Client]:
    """A client of a server beside the test, with the model "m"."""
    import evermodel

    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False) as asked,
    ):
        yield asked


def records(n: int, seed: int = 5) -> list[dict]:
    """Rows as a client sends them."""
    return rows(n, seed).select("a", "b", "kind").to_dicts()


def expected(n: int, seed: int, registry: Path, version: str) -> pl.DataFrame:
    """What ``evermodel predict`` says of the same rows."""
    import evermodel

    return evermodel.predict("m", rows(n, seed), version=version, registry=registry)


@contextlib.contextmanager
def server_process(*words: object, registry: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """``evermodel serve`` as a process of its own, and where it listens; killed at the end if it still runs."""
    code = "from evermodel.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, "serve", *map(str, words), "--registry", str(registry)]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--port", "0"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if line.startswith("serving "):
                yield process, line.split()[1]
                break
        else:
            raise AssertionError(f"the server ended with {process.wait()}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.stderr.close()
        process.wait()


def wait_for(what, seconds: float = 60.0) -> float:
    """How long it took until ``what()`` was true. Raises AssertionError when it never is."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if what():
            return time.monotonic() - began
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")
