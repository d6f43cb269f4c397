"""A default registry mends any damaged file of its champion, and its database, by itself."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sqlite3
from pathlib import Path

import polars as pl
import pytest

import evermodel
from bench.doctor import flip
from evermodel.core.errors import EvermodelError
from evermodel.registry.lookup import open_store
from tests.cli.ground import ask, make_ground
from tests.updating.conftest import rows


def answers(registry: Path) -> pl.DataFrame:
    to = registry.parent / "answers.parquet"
    evermodel.predict_file("m", rows(200, 9).drop("y"), to=to, registry=registry)
    return pl.read_parquet(to)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, pl.DataFrame]:
    """A registry with an update and a monitor, and its predictions. Not to be changed."""
    ground = make_ground(tmp_path_factory.mktemp("whole"))
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=ground.registry, strategy="refit")
    evermodel.watch("m", rows(500, 5), window="500rows", registry=ground.registry)
    expected = answers(ground.registry)
    gc.collect()  # closes the database, so that its log is folded in
    return ground.registry, expected


@pytest.fixture
def registry(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "registry"))


def champion_files(registry: Path, version: str = "v2") -> list[Path]:
    return sorted(p for p in (registry / "versions" / "m" / version).rglob("*") if p.is_file())


def cut(at: Path) -> None:
    os.truncate(at, at.stat().st_size // 2)


def empty(at: Path) -> None:
    os.truncate(at, 0)


def noise(at: Path) -> None:
    at.write_bytes(b"this is no database " * 500)


HOWS = {"flipped": flip, "cut": cut, "emptied": empty, "deleted": Path.unlink}


@pytest.mark.parametrize("how", HOWS)
def test_every_file_of_the_champion_is_mended(whole, registry, how):
    """All of them at once, so any one of them."""
    for file in champion_files(registry):
        HOWS[how](file)
    done = evermodel.doctor(registry=registry, repair=True)
    assert done.healthy, done.lines()
    assert len([m for m in done.mended if "restored from" in m]) == len(champion_files(registry))
    assert answers(registry).equals(whole[1])
    assert open_store(registry).resolve_alias("m", "champion") == "v2", "mended, not rolled back"


def flip_text(at: Path) -> None:
    """A byte of the last version card: the middle of the file may be space that nothing uses, where none is missed."""
    data = bytearray(at.read_bytes())
    data[data.rindex(b'"strategy"') + 3] ^= 0x80
    at.write_bytes(data)


@pytest.mark.parametrize("how", [*HOWS, "noise"])
def test_the_database_is_mended(whole, registry, how):
    at = registry / "evermodel.db"
    before = open_store(registry).upkeep.rows()
    gc.collect()
    {**HOWS, "noise": noise, "flipped": flip_text}[how](at)
    said = ask(["doctor", "--json"], registry)
    assert said.code == 1 and "second copy" in json.loads(said.out)["findings"][0]["repair"]
    done = evermodel.doctor(registry=registry, repair=True)
    assert done.healthy, done.lines()
    assert open_store(registry).upkeep.rows() == before
    assert answers(registry).equals(whole[1])


def list_names(registry: Path) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(registry / "evermodel.db")) as db:
        return db.execute("SELECT * FROM aliases ORDER BY 1, 2").fetchall()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE versions SET card = substr(card, 1, 500) WHERE number = 1",
        "UPDATE versions SET card = CAST(x'ff' || card AS TEXT)",
        "UPDATE events SET kind = 'zap'",
    ],
)
def test_a_damaged_row_alone_is_put_back(whole, registry, damage):
    """What came later is kept, and a database with a row that is no record is not copied over the good copy."""
    with sqlite3.connect(registry / "evermodel.db") as db:
        db.execute(damage)
    db.close()
    with contextlib.suppress(EvermodelError):
        evermodel.watch("m", rows(500, 6), registry=registry)
    newest = list_names(registry)
    assert not evermodel.doctor(registry=registry).healthy
    done = evermodel.doctor(registry=registry, repair=True)
    assert {f.check for f in done.findings if not f.mended and f.severity != "note"} <= {"freshness"}, done.lines()
    assert any("rows)" in mended for mended in done.mended), done.mended
    assert len(evermodel.open(registry)["m"].versions) == 2 and answers(registry).equals(whole[1])
    assert list_names(registry) == newest


def test_a_damaged_copy_is_said_and_made_again(whole, registry):
    for copy in [p for p in (registry / "copies").rglob("*") if p.is_file()]:
        flip(copy)
    first = evermodel.doctor(registry=registry)
    assert {f.check for f in first.findings if f.severity != "note"} == {"copies"}
    assert evermodel.doctor(registry=registry, repair=True).healthy
    for file in champion_files(registry):
        file.unlink()
    (registry / "evermodel.db").unlink()
    assert evermodel.doctor(registry=registry, repair=True).healthy
    assert answers(registry).equals(whole[1])


def test_a_row_that_changed_quietly_is_said(registry):
    """A record that reads well and is not what was written: versions never change."""
    with sqlite3.connect(registry / "evermodel.db") as db:
        db.execute("UPDATE versions SET card = replace(card, '\"seed\": 0', '\"seed\": 8') WHERE number = 2")
    db.close()
    (finding,) = [f for f in evermodel.doctor(registry=registry).findings if f.severity != "note"]
    assert finding.check == "copies" and "1 rows of the database" in finding.what


def test_copies_follow_the_champion(registry):
    """Also of another model with the same bytes; and no copy is a link."""
    store = open_store(registry)
    (copies,) = store.upkeep.copies()
    cards = {v: store.read_card("m", v).files for v in ("v1", "v2")}
    held = {s.key for s in copies.list_stored()}
    assert held == set(cards["v2"].values())
    evermodel.rollback("m", registry=registry)
    assert {s.key for s in copies.list_stored()} == set(cards["v1"].values())
    links = {p.stat().st_ino for p in champion_files(registry, "v1")}
    assert not links & {p.stat().st_ino for p in copies.root.rglob("*")}
    assert all(p.stat().st_mode & 0o077 == 0 for p in copies.root.rglob("*")), "others can read a copy"


def test_gc_removes_copies_of_what_is_no_champion(registry):
    store = open_store(registry)
    (copies,) = store.upkeep.copies()
    for path, digest in store.read_card("m", "v1").files.items():
        copies.put(registry / "versions" / "m" / "v1" / path, digest)
    kept = set(store.read_card("m", "v2").files.values())
    extra = {s.key for s in copies.list_stored()} - kept
    done = evermodel.gc(grace=0, registry=registry)
    assert extra and done.in_copies == len(extra)
    assert {s.key for s in copies.list_stored()} == kept
    told = evermodel.doctor(registry=registry)
    assert told.healthy and told.copies_bytes == copies.size() > 0 and "second copies take" in str(told)


def test_a_full_or_closed_copy_does_not_stop_a_promotion(registry, monkeypatch, caplog):
    shutil.rmtree(registry / "copies")
    (registry / "copies").write_text("a file where a folder must be")
    evermodel.rollback("m", registry=registry)
    assert open_store(registry).resolve_alias("m", "champion") == "v1"
    assert "No second copy" in caplog.text


def test_a_restored_registry_has_its_copies(whole, registry, tmp_path):
    evermodel.backup(to=tmp_path / "backup.tar", registry=registry)
    evermodel.restore(tmp_path / "backup.tar", to=tmp_path / "new")
    done = evermodel.doctor(registry=tmp_path / "new")
    assert done.healthy, done.lines()
