"""One thread each: the machine is shared, and results must not hang on how many there are."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from scripts import postgres as running

os.environ.setdefault("OMP_NUM_THREADS", "1")
# The files of the tests are our own: tests/registry/test_sandbox.py switches the child process on.
os.environ.setdefault("EVERMODEL_SANDBOX", "off")
# An example takes longer where the machine is busy. Where CI is set, Hypothesis's own profile has no deadline either.
if "CI" not in os.environ:
    settings.register_profile("evermodel", deadline=None)
    settings.load_profile("evermodel")
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="evermodel-tests-")  # which Python files are trusted


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL on loopback, one a worker; ``fresh()`` is the URL of an empty database."""
    if running.program("postgres") is None:
        pytest.skip("PostgreSQL is not here; 'sh scripts/parts' gets it")
    with running.postgres() as server:
        yield server


# Files of few tests that take long, for they wait for servers or start many processes. xdist begins with the files of
# most tests; these would come last, and one worker would wait for the other.
LONGEST = (
    "docs/test_run.py",
    "registry/test_damage.py",
    "registry/attacks/test_row_files.py",
    "registry/test_save_with_preprocessing.py",
    "maintenance/test_full_disk.py",
    "integrations/test_monitoring_up.py",
    "integrations/test_schedulers.py",
    "integrations/test_nagios.py",
    "demo/test_demo.py",
    "frameworks/test_keras_training.py",
    "adoption/test_keras_words.py",
    "updating/test_auto.py",
    "searching/test_tune.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; every other keeps its place."""
    place = {name: at for at, name in enumerate(LONGEST)}
    folder = Path(__file__).parent

    def find_place(item: pytest.Item) -> int:
        inside = item.path.relative_to(folder).as_posix() if item.path.is_relative_to(folder) else ""
        return place.get(inside, len(place))

    items.sort(key=find_place)
