"""A disk that the kernel says is full, at any moment of a check or an update: said, nothing lost, and done later."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from evermodel.core.errors import OutOfSpace
from evermodel.maintenance.maintenance_state import read_maintenance_state
from evermodel.registry.lookup import champion_of
from evermodel.registry.versions import load_version
from evermodel.searching.resumable_job import ResumableWork
from tests.cli.ground import ask
from tests.small_disk import mountable, mounted
from tests.updating.conftest import rows

PAGE = 4_096

pytestmark = pytest.mark.skipif(not mountable(), reason="no right to mount a disk: run as root, where it may mount")


@pytest.fixture
def disk():
    with mounted() as disk:
        yield disk


@pytest.fixture
def place(place, disk):
    shutil.move(place.registry, disk.at / "registry")
    return replace(place, registry=disk.at / "registry")


def told(place, **how):
    """What a maintenance said, that found too little room or enough."""
    try:
        return "\n".join(w for job in place.maintain(**how).jobs for w in (job.state, *job.notes))
    except OutOfSpace as error:
        return str(error)


def test_no_row_is_lost_or_counted_twice(place, disk):
    place.police(growth=100, id="row_id", retries=50)
    full = 0
    for pages in (*range(0, 24, 2), 40, 2_000):
        place.deliver(f"{pages}.csv", frame=rows(100, 60 + pages).with_row_index("row_id", 100 * pages))
        disk.leave(pages * PAGE)
        said = told(place, days=1)
        full += "disk is full" in said
        assert "disk is full" in said or "took 100 rows" in said, f"{pages} pages: {said}"
        assert "Errno" not in said, said
        disk.free()
    told(place, days=1)
    taken = [d for d in read_maintenance_state(place.store, "m")[0].deliveries if not d.refused]
    assert (len(taken), sum(d.rows for d in taken)) == (14, 1_400)
    assert 3 <= full < 14, "both a full disk and one with enough room were met"


@pytest.mark.parametrize("pages", [0, 8, 16, 32])
def test_an_update_is_made_later(place, disk, pages):
    place.police(every="week", growth=10, retries=50)
    place.deliver("a.csv", 600, angle=0.8)
    place.maintain()
    place.deliver("b.csv", 600, angle=0.8)
    disk.leave(pages * PAGE)
    said = told(place, days=7)
    assert place.champion == champion_of(place.store, "m").version
    load_version(place.store, champion_of(place.store, "m"))
    assert "disk is full" in said or place.champion == "v2", said
    disk.free()
    for _ in range(3):
        told(place, days=0.5)
    assert place.champion == "v2", "what could not be written was made again"
    load_version(place.store, champion_of(place.store, "m"))


def test_what_cannot_be_kept_for_later_takes_no_room(place, disk):
    work = ResumableWork(place.store, "m", "prune", ["asked"], resume=False)
    disk.leave(4 * PAGE)
    work.keep("0.5", {"curve": "x" * 100_000})
    assert work.read("0.5") is None
    assert not [f for f in place.store.scratch_folder("m").rglob("*") if f.is_file()]
    disk.free()
    work.keep("0.5", {"curve": "x" * 100_000})
    assert work.read("0.5") == {"curve": "x" * 100_000}


@pytest.mark.parametrize("pages", range(0, 12, 2))
def test_a_command_says_so_and_changes_nothing(place, disk, pages):
    place.police()
    disk.leave(pages * PAGE)
    answer = ask(["policy", "m", "--set", "growth=7"], place.registry)
    disk.free()
    kept = ask(["policy", "m", "--json"], place.registry)
    if answer.code:
        assert answer.code == 1
        assert "disk is full" in answer.err
        assert "Traceback" not in answer.err
    assert json.loads(kept.out)["policy"]["growth"] == (7 if answer.code == 0 else 2)
