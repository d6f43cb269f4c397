"""Garbage collection, backup and restore of a real home with a model, updates and a monitor."""

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
from evermodel.loop.home import open_home
from evermodel.loop.watch_state import read_state
from tests.cli.ground import ask
from tests.loop.conftest import rows


@pytest.fixture(scope="module")
def lived(booster, tmp_path_factory) -> Path:
    """A home with a promoted update, a held or rejected one, and a monitor. Not to be changed."""
    home = tmp_path_factory.mktemp("lived") / "home"
    evermodel.adopt(booster, data=rows(1500, 2), target="y", name="m", time="when", home=home)
    evermodel.update("m", rows(1500, 3, angle=0.8), home=home, with_="refit")
    evermodel.update("m", rows(600, 4, angle=0.8), home=home, with_="refit")
    evermodel.watch("m", rows(500, 5), window="500rows", home=home)
    return home


@pytest.fixture
def home(lived, tmp_path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "home"))


def answers(home: Path, to: Path) -> pl.DataFrame:
    evermodel.predict("m", rows(400, 9).drop("y"), to=to, home=home)
    return pl.read_parquet(to)


def works(home: Path) -> None:
    """Everything that is pointed at is there: it predicts, rolls back, watches and updates."""
    evermodel.watch("m", rows(200, 31), home=home)
    evermodel.update("m", rows(600, 32, angle=0.8), home=home, with_="refit", dry_run=True)
    store = open_home(home)
    state, _ = read_state(store, "m")
    for part in state.parts:
        store.blob(part.blob)


def test_orphans_go_and_nothing_else(home, tmp_path):
    before = answers(home, tmp_path / "before.parquet")
    (home / "blobs" / "ab").mkdir(exist_ok=True)
    (home / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"nobody's")
    (home / "versions" / "m" / "v99").mkdir()
    (home / "versions" / "m" / "v99" / "w").write_text("no row says so")
    dry = evermodel.gc(home=home, grace=0, dry_run=True)
    assert (dry.folders, dry.dry_run) == (1, True) and dry.blobs >= 1
    assert (home / "versions" / "m" / "v99").exists()
    done = evermodel.gc(home=home, grace=0)
    assert (done.blobs, done.folders) == (dry.blobs, 1)
    assert not (home / "versions" / "m" / "v99").exists()
    assert answers(home, tmp_path / "after.parquet").equals(before)
    assert evermodel.gc(home=home, grace=0).bytes == 0
    works(home)


def test_what_is_young_is_left_alone(home):
    (home / "blobs" / "ab").mkdir(exist_ok=True)
    (home / "blobs" / "ab" / ("ab" * 32)).write_bytes(b"somebody is about to point at this")
    assert evermodel.gc(home=home).blobs == 0


def test_old_versions_lose_their_files_and_keep_their_cards(home):
    store = open_home(home)
    for seed in range(40, 44):
        evermodel.update("m", rows(300, seed, angle=2.0 * (seed % 2)), home=home, with_="refit")
    champion, cards = store.at("m", "champion"), store.cards("m")
    done = evermodel.gc(keep_versions=1, grace=0, home=home)
    assert done.versions
    kept = {c.version for c in store.cards("m") if c.files}
    assert champion in kept and cards[-1].version in kept and set(store.card("m", champion).parents) <= kept
    assert [c.version for c in store.cards("m")] == [c.version for c in cards]
    dropped = done.versions[0].split()[1]
    answer = ask(["promote", "m", dropped], home)
    assert answer.code == 2 and "removed by 'evermodel gc'" in answer.err
    assert not (home / "versions" / "m" / dropped).exists()
    works(home)
    evermodel.rollback("m", home=home)


@pytest.mark.parametrize(
    ("given", "says"), [({"keep_versions": 0}, "at least 1"), ({"grace": -1.0}, "not be negative")]
)
def test_a_wrong_limit_is_refused(home, given, says):
    with pytest.raises(BadSetting, match=says):
        evermodel.gc(home=home, **given)


WRITER = """
import sys
import evermodel
from tests.loop.conftest import rows
for seed in range(100, 100_000):
    evermodel.watch("m", rows(120, seed), home=sys.argv[1])
    print(seed, flush=True)
"""


def test_gc_and_backup_while_another_process_writes(home, tmp_path):
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    said = tmp_path / "said.txt"
    with said.open("wb") as out:
        writer = subprocess.Popen([sys.executable, "-W", "ignore", "-c", WRITER, home], env=env, stdout=out)
    number, until = 0, time.monotonic() + 300
    try:
        while not said.stat().st_size:
            assert writer.poll() is None and time.monotonic() < until, "the writer never wrote"
            time.sleep(0.05)
        before = said.stat().st_size
        while number < 4 or said.stat().st_size == before:  # until it wrote meanwhile, however busy the machine is
            assert time.monotonic() < until, "it wrote nothing meanwhile"
            orphan = home / "blobs" / "ab" / (f"{number}a" * 32)[:64]
            orphan.parent.mkdir(exist_ok=True)
            orphan.write_bytes(b"nobody's")
            os.utime(orphan, (0, 0))
            assert evermodel.gc(home=home, grace=60).blobs == 1
            assert not orphan.exists()
            assert evermodel.backup(to=tmp_path / f"b{number}", home=home).lacking == ()
            number += 1
        assert writer.poll() is None, "the writer failed"
    finally:
        writer.kill()
        writer.wait()
    assert evermodel.restore(tmp_path / "b3", to=tmp_path / "other").lacking == ()
    for at in (home, tmp_path / "other"):
        works(at)
    assert answers(home, tmp_path / "1.parquet").equals(answers(tmp_path / "other", tmp_path / "2.parquet"))


@pytest.mark.parametrize("name", ["backup", "backup.tar", "backup.tar.gz"])
def test_a_restored_home_answers_the_same(lived, tmp_path, name):
    done = ask(["backup", "--to", str(tmp_path / name), "--json"], lived)
    assert done.code == 0 and json.loads(done.out)["lacking"] == []
    assert ask(["restore", str(tmp_path / name), "--to", str(tmp_path / "new")], None).code == 0
    new = tmp_path / "new"
    assert answers(new, tmp_path / "a.parquet").equals(answers(lived, tmp_path / "b.parquet"))
    assert open_home(new).care.rows() == open_home(lived).care.rows()
    works(new)


def test_to_postgresql_and_back(lived, postgres, tmp_path, monkeypatch):
    home, url = tmp_path / "team", postgres.fresh()
    home.mkdir()
    (home / "store.toml").write_text(f'database = "{url}"\nfiles = "{(tmp_path / "objects").as_uri()}"\n')
    evermodel.backup(to=tmp_path / "one.tar", home=lived)
    evermodel.restore(tmp_path / "one.tar", to=home)
    before = answers(lived, tmp_path / "a.parquet")
    assert answers(home, tmp_path / "b.parquet").equals(before)
    shutil.rmtree(home / "cache")
    works(home)
    evermodel.backup(to=tmp_path / "two.tar", home=home)
    evermodel.restore(tmp_path / "two.tar", to=tmp_path / "back")
    assert open_home(tmp_path / "back").care.rows() == open_home(home).care.rows()
    assert answers(tmp_path / "back", tmp_path / "c.parquet").equals(answers(home, tmp_path / "d.parquet"))


def test_a_backup_says_what_it_lacks(home, tmp_path):
    file = next((home / "versions" / "m" / "v1" / "model").iterdir())
    os.truncate(file, 10)
    answer = ask(["backup", "--to", str(tmp_path / "b")], home)
    assert answer.code == 1 and file.name in answer.out


def test_bad_requests(lived, tmp_path):
    evermodel.backup(to=tmp_path / "b.tar", home=lived)
    with pytest.raises(BadSetting, match="there already"):
        evermodel.backup(to=tmp_path / "b.tar", home=lived)
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

    evermodel.backup(to=tmp_path / "b", home=lived)
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
