"""Where bad input is tried: a registry with one tiny model, the command line in this process, and a look at the
store."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import re
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl

from tests.updating.conftest import rows

ALLOWED = (0, 10, 11, 12)  # of an update: the request was right


@dataclass(frozen=True)
class Ground:
    """``folder`` is the case's own; ``registry`` holds the model "m" and is shared: no case may change it."""

    folder: Path
    registry: Path
    model: Path  # the LightGBM file "m" was adopted from
    reference: Path  # the rows it was adopted with

    def put(self, name: str, data: bytes | str) -> str:
        at = self.folder / name
        at.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(at)

    def csv(self, frame: pl.DataFrame, name: str = "new.csv") -> str:
        frame.write_csv(self.folder / name)
        return str(self.folder / name)


@dataclass(frozen=True)
class Case:
    """One bad request: what is typed (without --registry), what stderr must say (a pattern), and the exit code."""

    name: str
    typed: Callable[[Ground], Sequence[str]]
    says: str
    codes: tuple[int, ...] = (2,)
    hint: bool = False  # whether an unskilled user also needs to be told what to do
    signature: str = ""  # a package that must be there
    slow: bool = False


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def make_ground(folder: Path) -> Ground:
    """A fresh registry with a LightGBM model of ten trees, deployed on rows like its reference."""
    import lightgbm

    frame = rows(600, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1, "deterministic": True}
    folder.mkdir(parents=True, exist_ok=True)
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 10).save_model(folder / "existing_model.txt")
    ground = Ground(folder, folder / "registry", folder / "existing_model.txt", folder / "reference.csv")
    rows(600, 2).write_csv(ground.reference)
    said = ["adopt", str(ground.model), "--data", str(ground.reference), "--target", "y", "--time", "when"]
    answer = ask([*said, "--name", "m"], ground.registry)
    assert answer.code == 0, answer.err
    gc.collect()  # closes the database, so that its journal is not removed while a test copies the folder
    return ground


def ask(typed: Sequence[str], registry: Path | None) -> Answer:
    """What ``evermodel`` answers to these words, without a process of its own."""
    from evermodel.cli import main

    words = ["evermodel", *typed, *([] if registry is None or "--registry" in typed else ["--registry", str(registry)])]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # what a user would see as a traceback
            code = 1
            traceback.print_exc()
    return Answer(code, out.getvalue(), err.getvalue())


def snapshot(registry: Path) -> dict[str, str]:
    """A hash of every row of every table, and of every file a version or blob is made of."""
    found: dict[str, str] = {}
    if not (registry / "evermodel.db").is_file():
        return found
    with tempfile.TemporaryDirectory() as copy, contextlib.closing(_copied(registry, Path(copy))) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            held = repr(sorted(map(repr, db.execute(f"SELECT * FROM {table}"))))
            found[f"table {table}"] = hashlib.sha256(held.encode()).hexdigest()
    for room in ("versions", "blobs"):
        for file in sorted((registry / room).rglob("*")):
            digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "folder"
            found[file.relative_to(registry).as_posix()] = digest
    return found


def _copied(registry: Path, to: Path) -> sqlite3.Connection:
    """A copy of the database with its journal: SQLite cannot open one where it cannot write, as on a full disk."""
    gc.collect()  # closes what a command left open, so that its journal does not go while it is copied
    for file in registry.glob("evermodel.db*"):
        shutil.copy(file, to)
    return sqlite3.connect(to / "evermodel.db")


def faults(case: Case, answer: Answer, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is wrong with the answer to a case; nothing if all is as it should be."""
    found = []
    if answer.code not in case.codes:
        found.append(f"exit {answer.code}, not {' or '.join(map(str, case.codes))}")
    if "Traceback" in answer.err:
        found.append("a traceback: " + answer.err.strip().splitlines()[-1][:150])
    if not re.search(case.says, answer.err + answer.out, re.IGNORECASE):
        found.append(f"does not say {case.says!r}, but {(answer.err or answer.out).strip()[:200]!r}")
    if answer.code not in ALLOWED and not re.search(r"\w+ \w+.*[.?:!')]", answer.err):
        found.append("no sentence on stderr")
    if case.hint and "Hint:" not in answer.err:
        found.append(f"no hint: {answer.err.strip()[:200]!r}")
    if before != after:
        changed = sorted({k for k in before.keys() | after.keys() if before.get(k) != after.get(k)})
        found.append(f"the store changed: {changed[:4]}")
    return found
