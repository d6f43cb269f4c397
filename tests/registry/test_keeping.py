"""Garbage collection, backup and restore of a real registry with a model, updates and a monitor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadData, BadSetting
from evermodel.monitoring.monitor_state import read_state
from evermodel.registry.lookup import open_store
from tests.cli.ground import ask
from tests.updating.conftest import rows


@pytest.fixture(scope="module")
def lived(booster, tmp_path_factory) -> Path:
    """A registry with a promoted update, a held or rejected one, and a monitor. Not to be changed."""
    registry = tmp_path_factory.mktemp("lived") / "registry"
    evermodel.adopt(booster, data=rows(1500, 2), target="y", name="m", time="when", registry=registry)
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=registry, strategy="refit")
    evermodel.update("m", rows(600, 4, angle=0.8), registry=registry, strategy="refit")
    evermodel.watch("m", rows(500, 5), window="500rows", registry=registry)
    return registry


@pytest.fixture
def registry(lived, tmp_path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "registry"))


def answers(registry: Path, to: Path) -> pl.DataFrame:
    evermodel.predict_file("m", rows(400, 9).drop("y"), to=to, registry=registry)
    return pl.read_parquet(to)


def works(registry: Path) -> None:
    """Everything that is pointed at is there: it predicts, rolls back, watches and updates."""
    evermodel.watch("m", rows(200, 31), registry=registry)
    evermodel.update("m", rows(600, 32, angle=0.8), registry=registry, strategy="refit", dry_run=True)
    store = open_store(registry)
    state, _ = read_state(store, "m")
    for part in state.stored_rows:
        store.get_blob(part.blob)


def test_orphans_go_and_nothing_else(registry, tmp_path):
    before = answers(registry, tmp_path / "before.parquet")
    (registry / "blobs" / "ab").mkdir(exist_ok=True)
    (registry / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"nobody's")
    (registry / "versions" / "m" / "v99").mkdir()
    (registry / "versions" / "m" / "v99" / "w").write_text("no row says so")
    dry = evermodel.gc(registry=registry, grace=0, dry_run=True)
    assert (dry.folders, dry.dry_run) == (1, True) and dry.blobs >= 1
    assert (registry / "versions" / "m" / "v99").exists()
    done = evermodel.gc(registry=registry, grace=0)
    assert (done.blobs, done.folders) == (dry.blobs, 1)
    assert not (registry / "versions" / "m" / "v99").exists()
    assert answers(registry, tmp_path / "after.parquet").equals(before)
    assert evermodel.gc(registry=registry, grace=0).bytes == 0
    works(registry)


def test_what_is_young_is_left_alone(registry):
    (registry / "blobs" / "ab").mkdir(exist_ok=True)
    (registry / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"somebody is about to point at this")
    assert evermodel.gc(registry=registry).blobs == 0


def test_old_versions_lose_their_files_and_keep_their_cards(registry):
    store = open_store(registry)
    for seed in range(40, 44):
        evermodel.update("m", rows(300, seed, angle=2.0 * (seed % 2)), registry=registry, strategy="refit")
    champion, cards = store.resolve_alias("m", "champion"), store.list_cards("m")
    done = evermodel.gc(keep_versions=1, grace=0, registry=registry)
    assert done.versions
    kept = {c.version for c in store.list_cards("m") if c.files}
    assert champion in kept and cards[-1].version in kept and set(store.read_card("m", champion).parents) <= kept
    assert [c.version for c in store.list_cards("m")] == [c.version for c in cards]
    dropped = done.versions[0].split()[1]
    answer = ask(["promote", "m", dropped], registry)
    assert answer.code == 2 and "removed by 'evermodel gc'" in answer.err
    assert not (registry / "versions" / "m" / dropped).exists()
    works(registry)
    evermodel.rollback("m", registry=registry)


def test_a_held_challenger_keeps_its_files_while_it_waits_also_after_a_quarantine(registry):
    held = evermodel.update("m", rows(260, 40, angle=0.0), registry=registry, strategy="none")
    turned = evermodel.update("m", rows(300, 41, angle=3.0), registry=registry, strategy="none")
    assert (held.decision, turned.decision) == ("hold", "invalid")
    evermodel.gc(keep_versions=1, grace=0, registry=registry)
    again = evermodel.update("m", rows(300, 42, angle=0.0), registry=registry, strategy="none").rejudged
    assert again is not None and again.version == held.challenger


@pytest.mark.parametrize(
    ("given", "says"), [({"keep_versions": 0}, "at least 1"), ({"grace": -1.0}, "not be negative")]
)
def test_a_wrong_limit_is_refused(registry, given, says):
    with pytest.raises(BadSetting, match=says):
        evermodel.gc(registry=registry, **given)


WRITER = """
import sys
import evermodel
from tests.updating.conftest import rows
for seed in range(100, 100_000):
    evermodel.watch("m", rows(120, seed), registry=sys.argv[1])
    print(seed, flush=True)
"""


def test_gc_leaves_alone_what_went_while_it_looked(registry):
    """A file of whose age nothing is known: another process may have put it there again by the time it is removed."""
    gone = registry / "blobs" / "ab" / ("ab" * 32)
    gone.parent.mkdir(exist_ok=True)
    gone.symlink_to("nowhere")  # listed, and not there when its age is asked
    assert evermodel.gc(registry=registry, grace=60).blobs == 0
    assert gone.is_symlink()


def test_gc_and_backup_while_another_process_writes(registry, tmp_path):
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    said = tmp_path / "said.txt"
    with said.open("wb") as out:
        writer = subprocess.Popen([sys.executable, "-W", "ignore", "-c", WRITER, registry], env=env, stdout=out)
    number, until = 0, time.monotonic() + 300
    try:
        while not said.stat().st_size:
            assert writer.poll() is None and time.monotonic() < until, "the writer never wrote"
            time.sleep(0.05)
        before = said.stat().st_size
        while number < 4 or said.stat().st_size == before:  # until it wrote meanwhile, however busy the machine is
            assert time.monotonic() < until, "it wrote nothing meanwhile"
            orphan = registry / "blobs" / "ab" / (f"{number}a" * 32)[:64]
            orphan.parent.mkdir(exist_ok=True)
            orphan.write_bytes(b"nobody's")
            os.utime(orphan, (0, 0))
            assert evermodel.gc(registry=registry, grace=60).blobs == 1
            assert not orphan.exists()
            assert evermodel.backup(to=tmp_path / f"b{number}", registry=registry).lacking == ()
            number += 1
        assert writer.poll() is None, "the writer failed"
    finally:
        writer.kill()
        writer.wait()
    assert evermodel.restore(tmp_path / "b3", to=tmp_path / "other").lacking == ()
    for at in (registry, tmp_path / "other"):
        works(at)
    assert answers(registry, tmp_path / "1.parquet").equals(answers(tmp_path / "other", tmp_path / "2.parquet"))


@pytest.mark.parametrize("name", ["backup", "backup.tar", "backup.tar.gz"])
def test_a_restored_registry_answers_the_same(lived, tmp_path, name):
    done = ask(["backup", "--to", str(tmp_path / name), "--json"], lived)
    assert done.code == 0 and json.loads(done.out)["lacking"] == []
    assert ask(["restore", str(tmp_path / name), "--to", str(tmp_path / "new")], None).code == 0
    new = tmp_path / "new"
    assert answers(new, tmp_path / "a.parquet").equals(answers(lived, tmp_path / "b.parquet"))
    assert open_store(new).upkeep.rows() == open_store(lived).upkeep.rows()
    works(new)


def test_to_postgresql_and_back(lived, postgres, tmp_path, monkeypatch):
    registry, url = tmp_path / "team", postgres.fresh()
    registry.mkdir()
    (registry / "store.toml").write_text(f'database = "{url}"\nfiles = "{(tmp_path / "objects").as_uri()}"\n')
    evermodel.backup(to=tmp_path / "one.tar", registry=lived)
    evermodel.restore(tmp_path / "one.tar", to=registry)
    before = answers(lived, tmp_path / "a.parquet")
    assert answers(registry, tmp_path / "b.parquet").equals(before)
    shutil.rmtree(registry / "cache")
    works(registry)
    evermodel.backup(to=tmp_path / "two.tar", registry=registry)
    evermodel.restore(tmp_path / "two.tar", to=tmp_path / "back")
    assert open_store(tmp_path / "back").upkeep.rows() == open_store(registry).upkeep.rows()
    assert answers(tmp_path / "back", tmp_path / "c.parquet").equals(answers(registry, tmp_path / "d.parquet"))


def test_a_backup_says_what_it_lacks(registry, tmp_path):
    file = next((registry / "versions" / "m" / "v1" / "model").iterdir())
    os.truncate(file, 10)
    answer = ask(["backup", "--to", str(tmp_path / "b")], registry)
    assert answer.code == 1 and file.name in answer.out


def test_bad_requests(lived, tmp_path):
    evermodel.backup(to=tmp_path / "b.tar", registry=lived)
    with pytest.raises(BadSetting, match="there already"):
        evermodel.backup(to=tmp_path / "b.tar", registry=lived)
    with pytest.raises(AskedWrongly, match="not an empty folder"):
        evermodel.restore(tmp_path / "b.tar", to=lived)
    (tmp_path / "half.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:3000])
    with pytest.raises(BadData):
        evermodel.restore(tmp_path / "half.tar", to=tmp_path / "x")
    (tmp_path / "noise.tar").write_bytes(b"noise" * 1000)
    with pytest.raises(BadData):
        evermodel.restore(tmp_path / "noise.tar", to=tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("path", ["../../outside", "/etc/passwd", "a/../../b"])
def test_no_path_in_a_strangers_backup_is_followed(lived, tmp_path, path):
    import hashlib

    evermodel.backup(to=tmp_path / "b", registry=lived)
    found = json.loads((tmp_path / "b" / "rows.json").read_text())
    card = json.loads(found["versions"][0]["card"])
    card["files"] = {path: next(iter(card["files"].values()))}
    found["versions"][0]["card"] = json.dumps(card)
    text = json.dumps(found)
    (tmp_path / "b" / "rows.json").write_text(text)
    told = json.loads((tmp_path / "b" / "backup.json").read_text())
    told["rows_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "b" / "backup.json").write_text(json.dumps(told))
    with pytest.raises(BadData, match="we never write"):
        evermodel.restore(tmp_path / "b", to=tmp_path / "x")
