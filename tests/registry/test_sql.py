"""The store: versions never change, names move by compare-and-swap, nothing is half-written."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa

from evermodel.core.errors import BadSetting, Damaged, Moved, NotFound
from evermodel.core.records.event import Adopted, Decided, Event, EventKind
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move
from evermodel.plugins.stores._sql.setup import Setup
from evermodel.plugins.stores.sql import sql


@pytest.fixture
def store(tmp_path):
    return sql(tmp_path / "registry")


@pytest.fixture
def any_store(tmp_path, setup):
    return sql(tmp_path / "registry", setup=setup)


PROMOTED = Event("m", EventKind.PROMOTED, "now", Decided("v2", "v1"))


def put(store, name="m", text="weights"):
    staged = store.staging_folder()
    (staged / "model").mkdir()
    (staged / "model" / "w").write_text(text)
    return store.add_version(staged, VersionCard(name, ""))


def test_versions_are_numbered_and_kept_as_they_were(store):
    first, second = put(store, text="a"), put(store, text="b")
    assert (first.version, second.version) == ("v1", "v2")
    assert (store.version_folder("m", "v1") / "model" / "w").read_text() == "a"
    assert store.read_card("m", "v2") == second


def test_a_changed_file_is_noticed_and_named(store):
    put(store)
    (store.version_folder("m", "v1") / "model" / "w").write_text("other")
    with pytest.raises(Damaged, match="model/w"):
        store.version_folder("m", "v1")


def test_a_missing_file_is_noticed(store):
    put(store)
    (store.version_folder("m", "v1") / "model" / "w").unlink()
    with pytest.raises(Damaged, match="is gone"):
        store.version_folder("m", "v1")


def test_a_stale_expectation_moves_nothing(store):
    put(store)
    put(store)
    store.commit_moves("m", [Move("champion", "v1", None)], [])
    with pytest.raises(Moved):
        store.commit_moves("m", [Move("memory", "x", None), Move("champion", "v2", None)], [PROMOTED])
    assert store.resolve_alias("m", "champion") == "v1"
    assert store.resolve_alias("m", "memory") is None
    assert store.read_events("m") == []


def test_events_are_appended_in_order(store):
    for kind in ("adopted", "held", "promoted"):
        data = Adopted("v1") if kind == "adopted" else Decided("v2", "v1")
        store.commit_moves("m", [], [Event("m", EventKind(kind), "now", data)])
    assert [e.kind for e in store.read_events("m")] == ["adopted", "held", "promoted"]
    assert [e.number for e in store.read_events()] == [1, 2, 3]


@pytest.mark.parametrize("version", ["v9", "v0", "v-1", "latest", "", "v1; drop table versions", "v" + "9" * 40])
def test_an_unknown_version_lists_those_there_are(store, version):
    put(store)
    store.commit_moves("m", [Move("champion", "v1", None)], [])
    with pytest.raises(NotFound, match="There is: v1"):
        store.read_card("m", version)


def test_a_blob_is_named_by_its_bytes_and_checked(store):
    staged = store.staging_folder() / "rows"
    staged.write_bytes(b"rows")
    digest = store.put_blob(staged)
    assert store.get_blob(digest).read_bytes() == b"rows"
    store.get_blob(digest).write_bytes(b"rowz")
    with pytest.raises(Damaged):
        store.get_blob(digest)


def test_a_registry_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "registry").write_text("")
    with pytest.raises(BadSetting):
        sql(tmp_path / "registry")


def test_a_database_that_is_none_is_named(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "evermodel.db").write_bytes(b"not a database, but long enough to look at" * 50)
    with pytest.raises(Damaged, match=r"evermodel\.db"):
        sql(tmp_path / "registry")


def test_what_a_dead_process_staged_is_removed_by_the_next(store):
    process = multiprocessing.get_context("fork").Process(target=store.staging_folder)
    process.start()
    process.join()
    assert len(list((store.registry / "staging").iterdir())) == 1
    mine = store.staging_folder()
    assert list((store.registry / "staging").iterdir()) == [mine]


def _race(registry, setup, version, results):
    try:
        sql(registry, setup=setup).commit_moves("m", [Move("champion", version, "v1")], [PROMOTED])
        results.put("won")
    except Moved:
        results.put("moved")


def test_of_many_processes_that_move_a_name_at_once_one_wins(any_store, setup):
    store = any_store
    for _ in range(6):
        put(store)
    store.commit_moves("m", [Move("champion", "v1", None)], [])
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    racers = [context.Process(target=_race, args=(store.registry, setup, f"v{i}", results)) for i in range(2, 6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(results.get(timeout=60) for _ in racers) == ["moved"] * 3 + ["won"]
    assert len(store.read_events("m")) == 1


def _put_forever(registry, setup):
    store = sql(registry, setup=setup)
    for number in range(10_000):
        card = put(store, text=str(number))
        expect = store.resolve_alias("m", "champion")
        store.commit_moves("m", [Move("champion", card.version, expect)], [PROMOTED])


@pytest.mark.parametrize("round_", range(5))
def test_killed_at_any_moment_the_champion_loads(tmp_path, setup, round_):
    registry = tmp_path / "registry"
    put(sql(registry, setup=setup))
    sql(registry, setup=setup).commit_moves("m", [Move("champion", "v1", None)], [])
    process = multiprocessing.get_context("fork").Process(target=_put_forever, args=(registry, setup))
    process.start()
    time.sleep(0.1 + 0.06 * round_)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    store = sql(registry, setup=setup)
    champion = store.resolve_alias("m", "champion")
    assert (store.version_folder("m", champion) / "model" / "w").exists()
    for card in store.list_cards("m"):
        store.version_folder("m", card.version)
    assert put(store).version == f"v{len(store.list_cards('m'))}"


def _writes(registry, setup, writer, n):
    store = sql(registry, setup=setup)
    for i in range(n):
        put(store, text=f"{writer}.{i}")


def test_two_processes_that_put_at_once_lose_nothing(any_store, setup):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_writes, args=(any_store.registry, setup, w, 15)) for w in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    cards = any_store.list_cards("m")
    assert [c.version for c in cards] == [f"v{n}" for n in range(1, 31)]
    texts = [(any_store.version_folder("m", c.version) / "model" / "w").read_text() for c in cards]
    assert sorted(texts) == sorted(f"{w}.{i}" for w in "ab" for i in range(15))


def test_a_new_registry_waits_for_another_that_makes_it(tmp_path):
    """While another holds the new file, the change to a write-ahead log is refused at once: it must be tried again."""
    path = tmp_path / "evermodel.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE made (x)")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO made VALUES (1)")
    seen = []
    opens = threading.Thread(target=lambda: seen.append(sql(tmp_path).list_models()))
    opens.start()
    opens.join(0.5)
    assert opens.is_alive(), "it did not wait"
    other.execute("COMMIT")
    other.close()
    opens.join(30)
    assert seen == [[]]


def test_a_store_that_is_let_go_closes_its_connections(tmp_path, postgres):
    """Without waiting for Python to look for circles: a server that opens many would run out of connections."""
    setup = Setup(postgres.fresh(), "")
    watching = sql(tmp_path / "r", setup=setup)

    def count_open() -> int:
        with watching._database.reading() as db:
            asked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(db.execute(asked).scalar_one())

    gc.collect()
    before, was_on = count_open(), gc.isenabled()
    gc.disable()
    try:
        for _ in range(10):
            sql(tmp_path / "r", setup=setup).list_models()
        deadline = time.monotonic() + 20
        while count_open() > before and time.monotonic() < deadline:  # the server notices a closed one a little later
            time.sleep(0.1)
        assert count_open() <= before
    finally:
        if was_on:
            gc.enable()
