"""Damage to any file or row of a registry: every command says it in one sentence, without a traceback.

Exit code 1, as the doctor's: the registry is damaged. Exit code 2 where the damage reads as a wrong request: a model of
that name is not there any more.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import evermodel
from bench.doctor import flip
from tests.cli.ground import Answer, ask, make_ground
from tests.updating.conftest import rows

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A registry with an update, a monitor and rows to predict beside it. Not to be changed."""
    ground = make_ground(tmp_path_factory.mktemp("whole"))
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=ground.registry, strategy="refit")
    evermodel.watch("m", rows(500, 5), window="500rows", registry=ground.registry)
    rows(20, 9).drop("y").write_csv(ground.folder / "new.csv")
    gc.collect()
    with contextlib.closing(sqlite3.connect(ground.registry / "evermodel.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ground.registry


@pytest.fixture
def registry(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "registry"))


def ask_all(registry: Path, whole: Path) -> dict[str, Answer]:
    data, to = str(whole.parent / "new.csv"), str(registry.parent / "answers.csv")
    typed = {
        "list": ["list"],
        "show": ["show", "m"],
        "card": ["show", "m", "v2"],
        "log": ["log", "m"],
        "history": ["history", "m"],
        "predict": ["predict", "m", data, "--to", to],
        "watch": ["watch", "m", data],
        "rollback": ["rollback", "m"],
        "gc": ["gc", "--dry-run", "--older-than", "1d"],
    }
    return {name: ask(words, registry) for name, words in typed.items()}


def check_answers(answers: dict[str, Answer]) -> None:
    for name, answer in answers.items():
        assert answer.code in (0, 1, 2), (name, answer)
        assert "Traceback" not in answer.err and "unexpected" not in answer.err, (name, answer.err)
        if answer.code:
            first, *hint = answer.err.strip().splitlines()
            assert first.startswith("evermodel: ") and first.endswith((".", ")")) and len(first) < 500, (name, first)
            assert len(hint) <= 1 and all(line.startswith("Hint: ") for line in hint), (name, answer.err)


def sql(registry: Path, text: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(registry / "evermodel.db")) as db:
        db.execute(text, values)
        db.commit()


def card(change: Callable[[str], object]) -> Callable[[Path], None]:
    """The card of v2, the champion, as ``change`` makes it."""

    def do(registry: Path) -> None:
        with contextlib.closing(sqlite3.connect(registry / "evermodel.db")) as db:
            text = db.execute("SELECT card FROM versions WHERE number = 2").fetchone()[0]
        sql(registry, "UPDATE versions SET card = ? WHERE number = 2", change(text))

    return do


def edit(**fields: object) -> Callable[[Path], None]:
    return card(lambda text: json.dumps({**json.loads(text), **fields}))


def add_file(path: str, digest: str) -> Callable[[Path], None]:
    return card(lambda text: json.dumps({**(told := json.loads(text)), "files": {**told["files"], path: digest}}))


def halve(at: Path) -> None:
    os.truncate(at, at.stat().st_size // 2)


def statement(text: str, *values: object) -> Callable[[Path], None]:
    return lambda registry: sql(registry, text, *values)


CARDS: dict[str, Callable[[Path], None]] = {
    "cut": card(lambda text: text[: len(text) // 2]),
    "empty": card(lambda text: ""),
    "a list": card(lambda text: "[]"),
    "a number": card(lambda text: 5),
    "bytes": card(lambda text: b"\xff\xfe" + text.encode()),
    "no UTF-8": statement("UPDATE versions SET card = CAST(x'ff' || card AS TEXT) WHERE number = 2"),
    "nested": card(lambda text: DEEP),
    "a huge number": card(lambda text: '{"schema":' + "9" * 5000 + "}"),
    "no schema": edit(schema="x"),
    "a newer schema": edit(schema=99),
    "a field too many": edit(more=1),
    "another version's": edit(version="v9"),
    "another model's": edit(name="zz"),
    "a framework there is not": edit(framework="../x"),
    "a time that is none": edit(created="yesterday"),
    "a path that leads out": add_file("../../x", "a" * 64),
    "an absolute path": add_file("/etc/passwd", "a" * 64),
    "no digest": add_file("model/model.txt", "zz"),
}
ROWS: dict[str, Callable[[Path], None]] = {
    "the champion's row gone": statement("DELETE FROM versions WHERE number = 2"),
    "a negative number": statement("UPDATE versions SET number = -3 WHERE number = 2"),
    "a number that is text": statement("UPDATE versions SET number = 'abc' WHERE number = 2"),
    "the champion is a path": statement("UPDATE aliases SET target = '../../x' WHERE alias = 'champion'"),
    "the champion is bytes": statement("UPDATE aliases SET target = x'ff00' WHERE alias = 'champion'"),
    "the monitor is a path": statement("UPDATE aliases SET target = '../../etc/passwd' WHERE alias = 'monitor'"),
    "a model named by a path": statement("UPDATE aliases SET name = '../m'"),
    "a name of two lines": statement("UPDATE aliases SET name = name || char(10) || 'x'"),
    "an unknown event": statement("UPDATE events SET kind = 'zap'"),
    "an event cut": statement("UPDATE events SET data = '{'"),
    "an event that is bytes": statement("UPDATE events SET data = x'ff'"),
    "an event nested": statement("UPDATE events SET data = ?", DEEP),
    "a table gone": statement("DROP TABLE events"),
    "tables of a newer release": statement("UPDATE alembic_version SET version_num = 'zz'"),
}


@pytest.mark.parametrize("damage", CARDS)
def test_a_damaged_card_is_one_sentence(registry, whole, damage):
    CARDS[damage](registry)
    answers = ask_all(registry, whole)
    check_answers(answers)
    assert answers["predict"].code in (1, 2)


@pytest.mark.parametrize("damage", ROWS)
def test_a_damaged_row_is_one_sentence(registry, whole, damage):
    ROWS[damage](registry)
    answers = ask_all(registry, whole)
    check_answers(answers)
    assert any(answer.code for answer in answers.values())


@pytest.mark.parametrize(
    ("damage", "says"), [("nested", "m v2"), ("bytes", "card of a row of 'm'"), ("another version's", "m v2")]
)
def test_the_doctor_says_what_is_wrong_with_a_card(registry, damage, says):
    CARDS[damage](registry)
    answer = ask(["doctor", "--json"], registry)
    assert answer.code == 1 and answer.err == ""
    (finding,) = [f for f in json.loads(answer.out)["findings"] if f["severity"] == "critical"]
    assert finding["check"] == "database" and says in finding["what"]


@pytest.mark.parametrize("how", ["flipped", "cut", "deleted"])
def test_every_file_of_the_champion_is_missed(registry, whole, how):
    """Predictions never come out of a damaged file."""
    for file in sorted(p for p in (registry / "versions/m/v2").rglob("*") if p.is_file()):
        was = file.read_bytes()
        {"flipped": flip, "cut": halve, "deleted": Path.unlink}[how](file)
        answers = ask_all(registry, whole)
        check_answers(answers)
        assert answers["predict"].code == 1 and file.name in answers["predict"].err
        sql(registry, "UPDATE aliases SET target = 'v2' WHERE alias = 'champion'")  # the rollback went through
        file.write_bytes(was)


def test_every_page_of_the_database_may_be_damaged(registry, whole):
    at = registry / "evermodel.db"
    was = at.read_bytes()
    inside = (100, 2048, 4000)
    for page, start in enumerate(range(0, len(was), 4096)):
        for offset in (0, inside[page % 3]) if page else (0, *inside):
            data = bytearray(was)
            data[start + offset] ^= 0x10
            at.write_bytes(data)
            check_answers({"list": ask(["list"], registry), "log": ask(["log", "m"], registry)})
            gc.collect()
            for end in ("-wal", "-shm"):
                at.with_name(at.name + end).unlink(missing_ok=True)
