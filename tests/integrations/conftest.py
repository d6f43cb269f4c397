"""A model under watch, and the real servers on loopback."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scripts import servers
from tests.cli.ground import Ground, ask, make_ground
from tests.updating.conftest import rows

GOOD, WORSE, BAD = 0.0, 0.55, 1.5  # by how much the boundary has turned since the model was made


def needs(*kinds: str):
    missing = [k for k in kinds if servers.program(k) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not here; 'sh scripts/parts' gets it")


@pytest.fixture(scope="session")
def quiet(tmp_path_factory) -> Ground:
    """The model "m", 3,000 labelled rows like its reference watched in windows of 1,000. Not to be changed."""
    import evermodel

    ground = make_ground(tmp_path_factory.mktemp("quiet"))
    for seed in (10, 11, 12):
        evermodel.watch("m", rows(1000, seed), window="1000rows", registry=ground.registry)
    return ground


@pytest.fixture(scope="session")
def alarmed(quiet, tmp_path_factory) -> Path:
    """The registry afterwards: rows came on which the model is wrong, an update was made, and an alarm is open. Not to
    be changed."""
    import evermodel

    registry = copied(quiet.registry, tmp_path_factory.mktemp("alarmed"))
    evermodel.update("m", rows(1500, 20), registry=registry, strategy="refit")
    evermodel.watch("m", rows(1000, 21, angle=BAD), registry=registry)
    evermodel.watch("m", rows(1000, 22, angle=BAD).drop("y"), registry=registry)
    return registry


@pytest.fixture
def registry(quiet, tmp_path) -> Path:
    """A registry of the test's own, quiet so far."""
    return copied(quiet.registry, tmp_path)


def copied(registry: Path, to: Path) -> Path:
    return Path(shutil.copytree(registry, to / "registry"))


def said(*typed: object, registry: Path | None = None) -> str:
    """What a command prints that must succeed."""
    answer = ask([str(t) for t in typed], registry)
    assert answer.code == 0, answer.err
    return answer.out


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    """The command ``evermodel`` as a daemon finds it: this Python, this source, whatever folder it starts in."""
    at = tmp_path_factory.mktemp("bin") / "evermodel"
    source = Path(__file__).parents[2] / "src"
    at.write_text(
        f"#!/bin/sh\nPYTHONPATH={source} OMP_NUM_THREADS=1 exec {sys.executable} -W ignore -c "
        f"'from evermodel.cli import main; main()' \"$@\"\n"
    )
    at.chmod(0o755)
    return at


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch):
    """No test reads the registry of whoever runs it."""
    monkeypatch.delenv("EVERMODEL_REGISTRY", raising=False)
    os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")
