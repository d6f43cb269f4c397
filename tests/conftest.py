"""One thread each: the machine is shared, and results must not hang on how many there are."""

import os

import pytest

from scripts import postgres as running

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL on loopback, one a worker; ``fresh()`` is the URL of an empty database."""
    if running.program("postgres") is None:
        pytest.skip("PostgreSQL is not here; 'sh scripts/parts' gets it")
    with running.postgres() as server:
        yield server
