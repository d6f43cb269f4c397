"""The stranger's package, installed into a folder of its own as its users would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

collect_ignore = ["stranger_package"]  # a package to install, not tests
PACKAGE = Path(__file__).parent / "stranger_package"
Run = Callable[[str], str]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was installed into; without its dependencies, without a package index."""
    source = tmp_path_factory.mktemp("source") / "stranger_package"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "dist"))
    target = tmp_path_factory.mktemp("installed")
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    options = ["--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(target)]
    command = [uv, "pip", "install", "--quiet", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Runs Python code in a process of its own that sees the package; returns what it prints."""

    def run_code(code: str) -> str:
        paths = os.pathsep.join([str(installed), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run_code
