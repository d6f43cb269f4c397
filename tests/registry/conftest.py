"""Places for a store: SQLite and a real PostgreSQL, files in the registry, in a folder, behind a URL."""

from __future__ import annotations

import pytest

from evermodel.plugins.stores._sql.setup import Setup
from tests.updating.conftest import booster

__all__ = ["booster"]


KINDS = ("sqlite", "postgresql", "sqlite, files at a URL", "postgresql, files at a URL")


@pytest.fixture(params=KINDS)
def setup(request, tmp_path) -> Setup:
    """Where a store of this kind keeps its rows and files."""
    database = request.getfixturevalue("postgres").fresh() if "postgresql" in request.param else ""
    files = (tmp_path / "files").as_uri() if "URL" in request.param else ""
    return Setup(database, files)
