"""Rows that cannot be used, and some that look odd and can."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from tests.cli.ground import ALLOWED, Case, Ground
from tests.updating.conftest import rows

NEW = rows(300, 3)
Typed = Callable[[Ground], Sequence[str]]


def file(name: str, data: bytes | str, command: str = "update") -> Typed:
    return lambda g: [command, "m", g.put(name, data)]


def frame(change: Callable[[pl.DataFrame], pl.DataFrame], *more: str, command: str = "update") -> Typed:
    return lambda g: [command, "m", g.csv(change(NEW)), *more]


def predict(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Typed:
    return lambda g: ["predict", "m", g.csv(change(NEW)), "--to", str(g.folder / "out.csv")]


def cut(suffix: str) -> Typed:
    def typed(g: Ground) -> list[str]:
        at = g.folder / f"new{suffix}"
        NEW.write_parquet(at) if suffix == ".parquet" else NEW.write_ipc(at)
        at.write_bytes(at.read_bytes()[: at.stat().st_size // 2])
        return ["update", "m", str(at)]

    return typed


def sql(query: str) -> Typed:
    def typed(g: Ground) -> list[str]:
        db = sqlite3.connect(g.folder / "rows.db")
        db.execute("CREATE TABLE rows (a REAL)")
        db.commit()
        db.close()
        return ["update", "m", f"sqlite:///{g.folder / 'rows.db'}{query}"]

    return typed


def link_loop(g: Ground) -> list[str]:
    (g.folder / "a.csv").symlink_to(g.folder / "b.csv")
    (g.folder / "b.csv").symlink_to(g.folder / "a.csv")
    return ["update", "m", str(g.folder / "a.csv")]


def pipe(g: Ground) -> list[str]:
    os.mkfifo(g.folder / "new.csv")
    return ["update", "m", str(g.folder / "new.csv")]


def folder(g: Ground) -> list[str]:
    (g.folder / "new").mkdir()
    return ["update", "m", str(g.folder / "new")]


def mistyped_path(g: Ground) -> list[str]:
    g.csv(NEW, "march.csv")
    return ["update", "m", str(g.folder / "marhc.csv")]


def wrong_target(g: Ground) -> list[str]:
    data = g.csv(NEW.rename({"y": "churned"}))
    return ["adopt", str(g.model), "--data", data, "--target", "churn", "--name", "other"]


TEXT = NEW.write_csv()
LINES = TEXT.splitlines()
MILLION = ",".join(f"c{i}" for i in range(10**6))
MILLION_KEYS = "{" + ",".join(f'"c{i}":1' for i in range(10**6)) + "}\n"
GARBAGE = bytes(np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8))

CASES = [
    Case("empty file", file("new.csv", ""), "empty"),
    Case("header only", file("new.csv", LINES[0] + "\n"), "no rows"),
    Case("only blank lines", file("new.csv", "\n\n\n"), "blank|empty|no rows|header"),
    Case("wrong target", wrong_target, "did you mean 'churned'", hint=True),
    Case("no label column", frame(lambda f: f.drop("y")), "'y'|target|label"),
    Case("one class", frame(lambda f: f.with_columns(y=pl.lit(1))), "one class", hint=True),
    Case("all labels missing", frame(lambda f: f.with_columns(y=pl.lit(None))), "label|target|usable"),
    Case("all labels NaN", frame(lambda f: f.with_columns(y=pl.lit("NaN"))), "label|target|usable"),
    Case(
        "all values missing",
        frame(lambda f: f.with_columns(a=None, b=None, kind=None)),
        "no row has a usable value",
        hint=True,
    ),
    Case("10^6 columns of CSV", file("new.csv", f"{MILLION}\n{MILLION}\n"), "1,000,000 columns", slow=True),
    Case("10^6 keys of JSONL", file("new.jsonl", MILLION_KEYS), "1,000,000 keys", slow=True),
    Case("Latin-1", file("new.csv", TEXT.replace("red", "r\u00f6d").encode("latin-1")), "UTF-8", hint=True),
    Case(
        "UTF-16 cut off",
        file("new.csv", TEXT.encode("utf-16")[:-1]),
        "UTF-16",
    ),
    Case("truncated Parquet", cut(".parquet"), "not a whole|cannot be read", hint=True),
    Case("truncated Arrow", cut(".arrow"), "cannot be read|not a whole"),
    Case("gzip named .csv", file("new.csv", gzip.compress(TEXT.encode())), "holds gzip", hint=True),
    Case("noise named .csv", file("new.csv", GARBAGE), "UTF-8|NUL|binary|text"),
    Case("noise named .parquet", file("new.parquet", GARBAGE), "not a whole Parquet"),
    Case("noise named .arrow", file("new.arrow", GARBAGE), "cannot be read|Arrow"),
    Case("JSONL with a broken line", file("new.jsonl", '{"a": 1}\n{"a": \n'), "Line 2", hint=True),
    Case("JSONL of arrays", file("new.jsonl", "[1, 2]\n"), "Line 1", hint=True),
    Case("two columns of one name", file("new.csv", "a,a,y\n1,2,0\n3,4,1\n"), "'a'"),
    Case("a row too long", file("new.csv", "\n".join([*LINES[:50], LINES[50] + ",1,2", *LINES[51:]])), "line|row"),
    Case("an open quote", file("new.csv", LINES[0] + '\n1,"2,3,red,1\n' * 3), "quote|line|row|cannot be read"),
    Case(
        "some labels NaN (allowed)",
        frame(
            lambda f: f.with_columns(y=pl.when(pl.col("when") % 7 == 0).then(pl.lit("NaN")).otherwise(pl.col("y"))),
            "--dry-run",
        ),
        "would|dry|promote|hold|held|reject",
        ALLOWED,
    ),
    Case("a constant column (allowed)", frame(lambda f: f.with_columns(b=10.0), "--dry-run"), "m ", ALLOWED),
    Case(
        "the clock goes back (allowed)",
        frame(lambda f: f.with_columns(when=pl.col("when") - 10**6), "--dry-run"),
        "m ",
        ALLOWED,
    ),
    Case("text in a number column", frame(lambda f: f.with_columns(a=pl.lit("high"))), "'?a'?", hint=True),
    Case(
        "a number in a text column", frame(lambda f: f.with_columns(kind=pl.col("a"))), "'kind' held words", hint=True
    ),
    Case("a column missing", frame(lambda f: f.drop("b")), "'?b'?", hint=True),
    Case("a column renamed", frame(lambda f: f.rename({"b": "bb"})), "'?b'?", (2,), hint=True),
    Case("a unit jump of 1000", frame(lambda f: f.with_columns(b=pl.col("b") * 1000)), "unit|scale", hint=True),
    Case("a new class", frame(lambda f: f.with_columns(y=pl.lit("maybe")), command="evaluate"), "class|label|usable"),
    Case("5 rows", frame(lambda f: f.head(5)), "at least 10"),
    Case("the same rows twice", lambda g: ["update", "m", str(g.reference)], "known before", hint=True),
    Case("rows without labels to evaluate", frame(lambda f: f.drop("y"), command="evaluate"), "'y'|label|target"),
    Case("predict without any input", predict(lambda f: f.select("y", "when")), "'a'|'?a'?, ", hint=True),
    Case(
        "predict with a nested column",
        lambda g: ["predict", "m", g.put("x.jsonl", '{"a": [1], "b": {"c": 2}}\n'), "--to", str(g.folder / "o.csv")],
        "nested",
        hint=True,
    ),
    Case("no such file, one letter off", mistyped_path, "did you mean 'march.csv'", hint=True),
    Case("an unknown suffix", file("new.xyz", TEXT), "suffix", hint=True),
    Case("a workbook named .csv", file("new.csv", b"PK\x03\x04" + GARBAGE), "zip archive", hint=True),
    Case("a folder without pictures", folder, "pictures", hint=True),
    Case("a device", lambda g: ["update", "m", "/dev/zero"], "device", hint=True),
    Case("a pipe nobody writes to", pipe, "pipe", hint=True),
    Case("a loop of links", link_loop, "no path that can be opened|symbolic links"),
    Case("NUL in the path", lambda g: ["update", "m", "new\0.csv"], "no path"),
    Case("a path of 5000 letters", lambda g: ["update", "m", "x" * 5000], "too long"),
    Case("SQL that deletes", sql("::DELETE FROM rows"), "one SELECT", hint=True),
    Case("two SQL statements", sql("::SELECT 1; DROP TABLE rows"), "one SELECT", hint=True),
    Case("SQL without a query", sql(""), "needs a query", hint=True),
    Case("SQL on a missing table", sql("::SELECT * FROM nothing"), "refused", hint=True),
    Case("SQL on a missing file", lambda g: ["update", "m", "sqlite:///nowhere.db::SELECT 1"], "no file"),
]
