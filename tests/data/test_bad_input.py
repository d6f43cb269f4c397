"""Every kind of bad input: an error in words that says how to go on, and never a traceback."""

from __future__ import annotations

import gzip
import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.contracts.inference import learn_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.scan import collect, scan
from evermodel.core.errors import AskedWrongly, BadData, ContractBroken, NoData, NotFound
from evermodel.core.records.column_roles import Roles

GOOD = pl.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "job": ["a", "b", "a", "b"], "y": [0, 1, 0, 1]})
Case = tuple[str, Callable[[Path], Any], type[AskedWrongly], str]


def put(name: str, data: bytes | str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder / name

    return make


def cut_parquet(folder: Path) -> Path:
    GOOD.write_parquet(folder / "x.parquet")
    whole = (folder / "x.parquet").read_bytes()
    (folder / "x.parquet").write_bytes(whole[: len(whole) // 2])
    return folder / "x.parquet"


def hollow_parquet(folder: Path) -> Path:
    """The footer is there, the pages are noise."""
    rows = pl.DataFrame({"a": np.random.default_rng(0).normal(size=5000)})
    rows.write_parquet(folder / "x.parquet")
    whole = bytearray((folder / "x.parquet").read_bytes())
    whole[4 : len(whole) // 2] = b"\xa5" * (len(whole) // 2 - 4)
    (folder / "x.parquet").write_bytes(whole)
    return folder / "x.parquet"


def cut_arrow(folder: Path) -> Path:
    GOOD.write_ipc(folder / "x.arrow")
    whole = (folder / "x.arrow").read_bytes()
    (folder / "x.arrow").write_bytes(whole[: len(whole) // 2])
    return folder / "x.arrow"


def loop(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "b.csv")
    (folder / "b.csv").symlink_to(folder / "a.csv")
    return folder / "a.csv"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "x.csv")
    return folder / "x.csv"


def sql(query: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        with sqlite3.connect(folder / "x.db") as db:
            db.execute("CREATE TABLE t (a REAL, y INT)")
            db.execute("INSERT INTO t VALUES (1, 0), (2, 1)")
        db.close()
        return f"sqlite:///{folder}/x.db::{query}"

    return make


def escaping(folder: Path) -> Path:
    (folder / "in").mkdir()
    (folder / "secret.png").write_bytes(b"\x89PNG")
    (folder / "in" / "one.png").write_bytes(b"\x89PNG")
    (folder / "in" / "x.csv").write_text("image,y\none.png,1\n../secret.png,0\n")
    return folder / "in" / "x.csv"


SOURCES: list[Case] = [
    ("empty file", put("x.csv", b""), NoData, "empty"),
    ("blank lines", put("x.csv", "\n\n"), NoData, "empty line"),
    ("header only", put("x.csv", "a,b\n"), NoData, "no rows"),
    ("header only, no newline", put("x.csv", "a,b"), NoData, "no rows"),
    ("no such file", lambda f: f / "nope.csv", NotFound, "no file"),
    ("unknown suffix", put("x.xyz", "a\n1\n"), BadData, "suffix"),
    ("no suffix", put("x", "a\n1\n"), BadData, "suffix"),
    ("non-UTF-8", put("x.csv", "a,b\n1,é\n".encode("latin-1")), BadData, "byte 6 is 0xe9"),
    ("half a character at the end", put("x.csv", "a,b\n1,é".encode()[:-1]), BadData, "middle of a character"),
    ("binary garbage", put("x.csv", bytes(range(256)) * 20), BadData, "byte"),
    ("gzip named csv", put("x.csv", gzip.compress(b"a\n1\n")), BadData, "gzip"),
    ("pickle named csv", put("x.csv", pickle.dumps({"a": 1}, protocol=4)), BadData, "pickle"),
    ("parquet named csv", lambda f: (GOOD.write_parquet(f / "x.csv"), f / "x.csv")[1], BadData, "Parquet"),
    ("csv named parquet", put("x.parquet", "a,b\n1,2\n1,2\n"), BadData, "its end is missing"),
    ("truncated parquet", cut_parquet, BadData, "its end is missing"),
    ("hollow parquet", hollow_parquet, BadData, "cannot be read"),
    ("truncated arrow", cut_arrow, BadData, "not a whole"),
    ("a short row", put("x.csv", "a,b,c\n1,2,3\n4,5\n6,7,8\n"), BadData, "Line 3"),
    ("a long row", put("x.csv", "a,b\n1,2\n3,4,5\n"), BadData, "Line 3"),
    ("duplicate columns", put("x.csv", "a,a\n1,2\n"), BadData, "two columns of one name"),
    ("a name that is a pattern", put("x.csv", "*,b\n1,2\n"), BadData, "cannot be called"),
    ("10^6 columns", put("x.csv", ",".join(f"c{i}" for i in range(10**6)) + "\n1\n"), BadData, "1,000,000 columns"),
    ("broken JSON line", put("x.jsonl", '{"a": 1}\n{"a": \n{"a": 2}\n'), BadData, "Line 2"),
    ("JSON lines of lists", put("x.jsonl", "[1, 2]\n"), BadData, "not an object"),
    ("nested lists", put("x.jsonl", '{"a": ["x", "y"]}\n'), BadData, "Nested"),
    ("lists of two lengths", put("x.jsonl", '{"a": [1, 2]}\n{"a": [1]}\n'), BadData, "have 1 to 2 values"),
    ("nested objects", put("x.jsonl", '{"a": {"b": 2}}\n'), BadData, "Nested"),
    ("10^5 keys", put("x.jsonl", "{" + ",".join(f'"k{i}":1' for i in range(100_001)) + "}\n"), BadData, "100,001 keys"),
    ("a folder without pictures", lambda f: f, NoData, "without pictures"),
    ("/dev/zero", lambda f: "/dev/zero", BadData, "device"),
    ("a pipe", pipe, BadData, "pipe"),
    ("a loop of links", loop, NotFound, "no path"),
    ("NUL in the name", lambda f: "a\0b.csv", NotFound, "no path"),
    ("a newline in the name", lambda f: f / "a\nb.csv", NotFound, "no file"),
    ("a name too long", lambda f: f / ("x" * 5000), NotFound, "no path"),
    ("climbing out", lambda f: f / "../../../../../../nope/x.csv", NotFound, "no file"),
    ("a picture outside", escaping, BadData, "outside the folder"),
    ("a bad query", sql("SELECT nope FROM t"), BadData, "no such column"),
    ("DROP", sql("DROP TABLE t"), BadData, "must be one SELECT"),
    ("two statements", sql("SELECT 1; DELETE FROM t"), BadData, "must be one SELECT"),
    ("a DELETE behind WITH", sql("WITH x AS (SELECT 1) DELETE FROM t"), BadData, "must be one SELECT"),
    ("a query without rows", sql("SELECT * FROM t WHERE a > 9"), NoData, "no rows"),
    ("two columns of one name", sql("SELECT a, a FROM t"), BadData, "two columns"),
    ("no query", lambda f: "sqlite:///x.db", BadData, "needs a query"),
    ("no database", lambda f: f"sqlite:///{f}/nope.db::SELECT 1", NotFound, "no file"),
    ("no such dialect", lambda f: "oracles://h/x::SELECT 1", BadData, "No database"),
    ("a number", lambda f: 7, BadData, "cannot be read from"),
    ("a vector", lambda f: np.zeros(3), BadData, "two-dimensional"),
    ("an empty array", lambda f: np.zeros((0, 3)), NoData, "empty"),
    ("an empty list", lambda f: [], NoData, "no rows"),
    ("columns of two lengths", lambda f: {"a": [1, 2], "b": [1]}, BadData, "as a table"),
    ("an empty frame", lambda f: pl.DataFrame({"a": []}), NoData, "no rows"),
    ("a frame of no columns", lambda f: pl.DataFrame(), NoData, "no columns"),
    ("a polars series", lambda f: pl.Series([1]), BadData, "not a table"),
]


@pytest.mark.parametrize(("make", "kind", "words"), [c[1:] for c in SOURCES], ids=[c[0] for c in SOURCES])
def test_source_is_refused_in_words(
    make: Callable[[Path], Any], kind: type[AskedWrongly], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        collect(scan(make(tmp_path)))
    assert words in caught.value.message
    assert caught.value.exit_code == 2


def test_a_query_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    for query in ("DROP TABLE t", "SELECT 1; DELETE FROM t", "INSERT INTO t VALUES (1, 1)"):
        folder = tmp_path / query[:4].strip()
        folder.mkdir()
        with pytest.raises(BadData):
            scan(sql(query)(folder))
    with sqlite3.connect(tmp_path / "DROP" / "x.db") as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(AskedWrongly) as caught:
        scan("postgresql://me:verysecret@localhost:1/x::SELECT 1")
    assert "verysecret" not in str(caught.value)


TARGETS = [
    ("wrong target", GOOD, Roles("yy"), NotFound, "yy"),
    ("wrong time", GOOD, Roles("y", time="agee"), NotFound, "agee"),
    ("wrong input", GOOD, Roles("y", inputs=("ages",)), NotFound, "ages"),
    ("target as input", GOOD, Roles("y", inputs=("y", "age")), BadData, "second part"),
    ("no input left", GOOD, Roles("y", drop=("age", "job")), BadData, "No column is left"),
    ("one class", GOOD.with_columns(y=pl.lit(1)), Roles("y"), BadData, "one class"),
    ("constant words", GOOD.with_columns(y=pl.lit("a")), Roles("y"), BadData, "one class"),
    ("NaN labels", GOOD.with_columns(y=pl.lit(float("nan"))), Roles("y"), NoData, "no usable label"),
    ("all labels missing", GOOD.with_columns(y=pl.lit(None)), Roles("y"), NoData, "no usable label"),
    ("all inputs missing", GOOD.select("y", a=pl.lit(None), b=pl.lit("")), Roles("y"), BadData, "can be an input"),
    ("a date as target", GOOD.with_columns(y=pl.date(2024, 1, 1)), Roles("y"), BadData, "labels or numbers"),
]


@pytest.mark.parametrize(("frame", "roles", "kind", "words"), [c[1:] for c in TARGETS], ids=[c[0] for c in TARGETS])
def test_contract_is_refused_in_words(frame: pl.DataFrame, roles: Roles, kind: type[AskedWrongly], words: str) -> None:
    with pytest.raises(kind) as caught:
        learn_contract(frame.lazy(), roles)
    assert words in caught.value.message


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(NotFound, match="Did you mean 'age'"):
        learn_contract(GOOD.lazy(), Roles("agge"))


ROWS = [
    ("a column is missing", GOOD.drop("age"), ContractBroken, "'age'"),
    ("no label is known", GOOD.with_columns(y=pl.lit(7)), NoData, "usable label"),
    ("no row", GOOD.head(0), NoData, "no rows"),
    ("bytes for words", GOOD.with_columns(job=pl.lit(b"x")), ContractBroken, "Got bytes"),
]


@pytest.mark.parametrize(("frame", "kind", "words"), [c[1:] for c in ROWS], ids=[c[0] for c in ROWS])
def test_rows_are_refused_in_words(frame: pl.DataFrame, kind: type[AskedWrongly], words: str) -> None:
    contract = learn_contract(GOOD.lazy(), Roles("y"))
    with pytest.raises(kind) as caught:
        clean(frame.lazy(), contract, labelled=True)
    assert words in caught.value.message


def test_negative_weights_are_refused() -> None:
    rows = GOOD.with_columns(w=pl.Series([1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(BadData, match="weight"):
        clean(rows.lazy(), learn_contract(rows.lazy(), Roles("y", weight="w")), labelled=True)


def test_dates_that_cannot_be_told_are_refused() -> None:
    rows = GOOD.with_columns(at=pl.Series(["3/4/2024", "4/3/2024", "5/3/2024", "6/3/2024"]))
    with pytest.raises(BadData, match="month or the day first"):
        clean(rows.lazy(), learn_contract(rows.lazy(), Roles("y", time="at")), labelled=True)


def test_words_where_numbers_were_are_refused() -> None:
    contract = learn_contract(GOOD.lazy(), Roles("y"))
    found = compare_with_contract(contract, GOOD.with_columns(age=pl.lit("old")).lazy())
    with pytest.raises(ContractBroken, match="held numbers"):
        found.refuse()
