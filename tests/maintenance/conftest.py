"""A registry with a tiny model, an inbox that files are delivered into, and a clock that stands until it is moved."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import evermodel
from evermodel.core import clock as clocks
from evermodel.registry.lookup import open_store
from tests.cli.ground import make_ground
from tests.updating.conftest import rows

START = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)


@dataclass
class Place:
    registry: Path
    inbox: Path
    now: dt.datetime = START
    seeds: list[int] = field(default_factory=lambda: [50])

    def deliver(self, name: str, n: int = 300, angle: float = 0.0, frame=None) -> Path:
        """A CSV file of rows that nobody has seen."""
        self.seeds[0] += 1
        frame = rows(n, self.seeds[0], angle) if frame is None else frame
        frame.write_csv(self.inbox / name)
        return self.inbox / name

    def police(self, **settings):
        with clocks.use_clock(lambda: self.now):
            told = {"data": str(self.inbox), "min_rows": 100, "back_off": "1 minute", **settings}
            return evermodel.policy("m", told, registry=self.registry)

    def maintain(self, days: float = 0.0, **how):
        self.now += dt.timedelta(days=days)
        return evermodel.maintain(registry=self.registry, clock=lambda: self.now, **how)

    @property
    def store(self):
        return open_store(self.registry)

    @property
    def champion(self) -> str:
        return self.store.resolve_alias("m", "champion")


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    return make_ground(tmp_path_factory.mktemp("maintained") / "ground")


@pytest.fixture
def place(ground, tmp_path) -> Place:
    shutil.copytree(ground.registry, tmp_path / "registry")
    (tmp_path / "inbox").mkdir()
    return Place(tmp_path / "registry", tmp_path / "inbox")
