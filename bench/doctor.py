"""Damage done on purpose to a real registry: the doctor finds each kind, mends what can be mended, says what cannot.

    python bench/doctor.py [--only WORD] [--skip N] [--load 30] [--single]

The registry holds a LightGBM model with an update and a monitor, keeps a second copy of its files, and has a backup.
Each kind gets a copy of its own. "found": exit code 1 and a finding of the right check. "mended": with --repair, exit
code 0 and equal predictions. Then a backup is taken while another process updates and watches for --load seconds, and
restored into a fresh folder: predictions must be equal bit for bit. --single: only each file of the champion of a
default registry, one at a time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

sys.path[:0] = [str(Path(__file__).parents[1])]
import evermodel  # noqa: E402
from evermodel.registry.lookup import open_store  # noqa: E402
from tests.cli.ground import ask, make_ground  # noqa: E402
from tests.updating.conftest import rows  # noqa: E402

MENDED, SAID = "mended", "said"


@dataclass(frozen=True)
class Damage:
    """``do`` breaks a registry; ``check`` must find it; ``after``: what --repair must reach."""

    name: str
    do: Callable[[Path], object]
    check: str
    after: str = MENDED
    copies: bool = True  # whether the second copy is left to mend from
    source: bool = False  # whether the backup is given
    same: bool = True  # whether the same predictions must come back


def champion(registry: Path) -> Path:
    return registry / "versions" / "m" / str(open_store(registry).resolve_alias("m", "champion"))


def model_file(registry: Path) -> Path:
    return max((champion(registry) / "model").iterdir(), key=lambda p: p.stat().st_size)


def flip(at: Path) -> None:
    data = bytearray(at.read_bytes())
    data[len(data) // 2] ^= 0x10
    at.write_bytes(data)


def target(registry: Path, alias: str) -> str:
    return str(open_store(registry).resolve_alias("m", alias))


def blob(registry: Path, digest: str) -> Path:
    return registry / "blobs" / digest[:2] / digest


def memory_rows(registry: Path) -> Path:
    told = json.loads(blob(registry, target(registry, "memory")).read_text())
    return blob(registry, told["blocks"][0]["rows"])


def sql(registry: Path, text: str, *values: object) -> None:
    db = sqlite3.connect(registry / "evermodel.db")
    db.execute(text, values)
    db.commit()
    db.close()


def old(at: Path) -> None:
    for part in [*at.rglob("*"), at] if at.is_dir() else [at]:
        os.utime(part, (1, 1))


def orphan(registry: Path) -> None:
    at = registry / "blobs" / "ab" / ("ab" * 32)
    at.parent.mkdir(exist_ok=True)
    at.write_bytes(b"nobody's")
    old(at)


def half_staged(registry: Path) -> None:
    """A process that was killed while it staged a version."""
    code = (
        "import os, sys; from pathlib import Path; from evermodel.registry.lookup import open_store\n"
        "at = open_store(sys.argv[1]).staging_folder(); (at / 'model').write_bytes(b'x' * 9999); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, registry], check=False)
    for at in (registry / "staging").iterdir():
        old(at)


def no_row(registry: Path) -> None:
    shutil.copytree(champion(registry), registry / "versions" / "m" / "v77")
    old(registry / "versions" / "m" / "v77")


def broken_page(registry: Path) -> None:
    """Noise over the middle pages of the database, its log folded in first."""
    db = sqlite3.connect(registry / "evermodel.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with (registry / "evermodel.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 3))


def broken_index(registry: Path) -> None:
    """Noise over the page of an index: rows can be read, and some are not found by their name."""
    db = sqlite3.connect(registry / "evermodel.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name='ix_events_name'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with (registry / "evermodel.db").open("r+b") as file:
        file.seek((page - 1) * size + size // 2)
        file.write(os.urandom(size // 2))


def no_database(registry: Path) -> None:
    for end in ("-wal", "-shm"):
        (registry / f"evermodel.db{end}").unlink(missing_ok=True)
    (registry / "evermodel.db").write_bytes(b"this is no database " * 500)


def wrong_golden(registry: Path) -> None:
    """The model's files are whole, by their new hashes, and answer otherwise than recorded: a wrong package would."""
    at = champion(registry) / "golden.json"
    told = json.loads(at.read_text())
    told["answers"][0][0] += 0.25
    at.write_text(json.dumps(told))
    import hashlib

    db = sqlite3.connect(registry / "evermodel.db")
    number = int(champion(registry).name[1:])
    card = json.loads(db.execute("SELECT card FROM versions WHERE number=?", (number,)).fetchone()[0])
    card["files"]["golden.json"] = hashlib.sha256(at.read_bytes()).hexdigest()
    db.execute("UPDATE versions SET card=? WHERE number=?", (json.dumps(card), number))
    db.commit()
    db.close()


def other_package(registry: Path) -> None:
    db = sqlite3.connect(registry / "evermodel.db")
    for number, text in db.execute("SELECT number, card FROM versions").fetchall():
        card = json.loads(text)
        card["packages"]["lightgbm"] = "2.0.0"
        db.execute("UPDATE versions SET card=? WHERE number=?", (json.dumps(card), number))
    db.commit()
    db.close()


def copy_of(registry: Path) -> Path:
    return registry.parent / "copy"


def stale(registry: Path) -> None:
    """Rows used to come each minute and stopped ten days ago."""
    import dataclasses

    from evermodel.monitoring.monitor_state import write_state

    times = tuple(time.time() - 10 * 86_400 + 60 * i for i in range(6))
    write_state(open_store(registry), "m", lambda s: (dataclasses.replace(s, arrivals={"rows": times}), []))


DAMAGES = (
    Damage("a bit of the model flipped", lambda h: flip(model_file(h)), "files"),
    Damage("the model cut in half", lambda h: os.truncate(model_file(h), model_file(h).stat().st_size // 2), "files"),
    Damage("the model deleted", lambda h: model_file(h).unlink(), "files"),
    Damage("the whole version deleted", lambda h: shutil.rmtree(champion(h)), "files"),
    Damage("the contract emptied", lambda h: (champion(h) / "contract.json").write_text(""), "files"),
    Damage("the model gone, no second copy", lambda h: model_file(h).unlink(), "files", SAID, copies=False, same=False),
    Damage("the model gone, a backup", lambda h: model_file(h).unlink(), "files", copies=False, source=True),
    Damage("a parent's file flipped", lambda h: flip(h / "versions/m/v1/contract.json"), "files"),
    Damage("the memory's list gone", lambda h: blob(h, target(h, "memory")).unlink(), "files"),
    Damage("remembered rows flipped", lambda h: flip(memory_rows(h)), "files"),
    Damage("the monitor's state cut", lambda h: os.truncate(blob(h, target(h, "monitor")), 40), "files"),
    Damage("the model's file without rights", lambda h: model_file(h).chmod(0), "rights"),
    Damage("the blobs' folder read-only", lambda h: (h / "blobs").chmod(0o500), "rights"),
    Damage(
        "the champion points at nothing",
        lambda h: sql(h, "UPDATE aliases SET target='v99' WHERE alias='champion'"),
        "names",
    ),
    Damage("the champion's name deleted", lambda h: sql(h, "DELETE FROM aliases WHERE alias='champion'"), "names"),
    Damage("a killed process's staging", half_staged, "left over"),
    Damage("a folder without a row", no_row, "left over"),
    Damage("a file that nothing points at", orphan, "left over"),
    Damage("pages of the database overwritten", broken_page, "database"),
    Damage("pages overwritten, a backup", broken_page, "database", source=True),
    Damage("an index of the database overwritten", broken_index, "database", source=True),
    Damage("the database replaced by noise, a backup", no_database, "database", source=True),
    Damage("golden predictions differ", wrong_golden, "golden", SAID),
    Damage("made with another package", other_package, "packages", SAID),
    Damage("the second copy lost a file", lambda h: next(copy_of(h).glob("??/*")).unlink(), "copies"),
    Damage("the second copy flipped", lambda h: flip(next(copy_of(h).glob("??/*"))), "copies"),
    Damage("rows stopped coming", stale, "freshness", SAID),
)


def make(folder: Path) -> Path:
    """A registry with a promoted update, a monitor and a second copy; a backup beside it."""
    registry = folder / "registry"
    registry.mkdir(parents=True)
    (registry / "store.toml").write_text(f'copies = ["{folder / "copy"}"]\n')
    make_ground(folder)
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=registry, strategy="refit")
    evermodel.watch("m", rows(500, 5), window="500rows", registry=registry)
    evermodel.backup(to=folder / "backup.tar", registry=registry)
    assert open_store(registry).resolve_alias("m", "champion") == "v2", "the update was to be promoted"
    return registry


def copied(registry: Path, to: Path) -> Path:
    shutil.copytree(registry.parent, to)
    (to / "registry" / "store.toml").write_text(f'copies = ["{to / "copy"}"]\n')
    return to / "registry"


def answers(registry: Path) -> pl.DataFrame:
    to = registry.parent / "answers.parquet"
    evermodel.predict_file("m", rows(500, 9).drop("y"), to=to, registry=registry)
    return pl.read_parquet(to)


def tried(damage: Damage, registry: Path, expected: pl.DataFrame) -> tuple[bool, str]:
    if not damage.copies:
        shutil.rmtree(copy_of(registry))
        (registry / "store.toml").unlink()
    damage.do(registry)
    words = ["doctor", "--json"]
    first = ask(words, registry)
    found = [f for f in json.loads(first.out)["findings"] if f["check"] == damage.check and f["severity"] != "note"]
    if first.code != 1 or not found or not all(f["repair"] for f in found):
        return False, f"not found (exit {first.code}): {first.out[-300:]} {first.err[-200:]}"
    source = ["--from", str(registry.parent / "backup.tar")] if damage.source else []
    second = ask([*words, "--repair", *source], registry)
    left = [f for f in json.loads(second.out)["findings"] if not f["mended"] and f["severity"] != "note"]
    told = found[0]["repair"] if damage.after == SAID else "; ".join(json.loads(second.out)["mended"])
    if damage.after == MENDED and (second.code != 0 or left):
        return False, f"not mended: {left}"
    if damage.after == SAID and (second.code != 1 or not all(f["repair"] for f in left)):
        return False, f"was to be said, exit {second.code}"
    if damage.after == MENDED and damage.same and not answers(registry).equals(expected):
        return False, "predictions differ after the repair"
    return True, told[:90]


def mend_single_files(folder: Path) -> tuple[int, int]:
    """A default registry, without second places and without a backup: each file of its champion, and its database,
    flipped, cut or deleted alone. How many times the predictions were equal after ``doctor --repair``, and of how many.
    """
    make_ground(folder)
    whole, equal, tried_ = folder / "registry", 0, 0
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=whole, strategy="refit")
    expected = answers(whole)
    gc.collect()  # closes the database: its log is folded in
    hows = {"flip": flip, "cut": lambda at: os.truncate(at, at.stat().st_size // 2), "delete": Path.unlink}
    files = [p for p in sorted(champion(whole).rglob("*")) if p.is_file()] + [whole / "evermodel.db"]
    for file in files:
        for how, do in hows.items():
            registry = folder / "one" / "registry"
            shutil.copytree(whole, registry)
            do(registry / file.relative_to(whole))
            done = ask(["doctor", "--repair", "--json"], registry)
            fine = done.code == 0 and answers(registry).equals(expected)
            equal, tried_ = equal + fine, tried_ + 1
            print(f"{'PASS' if fine else 'FAIL'}  {how} {file.relative_to(whole)}", flush=True)
            gc.collect()
            shutil.rmtree(registry.parent)
    return equal, tried_


LOAD = """
import sys, time
import evermodel
from tests.updating.conftest import rows
end = time.time() + float(sys.argv[2])
seed = 1000
while time.time() < end:
    seed += 1
    evermodel.watch("m", rows(150, seed), registry=sys.argv[1])
    evermodel.update("m", rows(300, seed + 5000, angle=0.1 * (seed % 9)), registry=sys.argv[1], strategy="refit")
    print(seed, flush=True)
"""


def under_load(registry: Path, seconds: float) -> tuple[bool, str]:
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    words = [sys.executable, "-W", "ignore", "-c", LOAD, str(registry), str(seconds)]
    writer = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
    made, n = time.time() + seconds, 0
    while time.time() < made and writer.poll() is None:
        n += 1
        at, new = registry.parent / f"b{n}.tar", registry.parent / f"new{n}"
        told = evermodel.backup(to=at, registry=registry)
        restored = evermodel.restore(at, to=new)
        if told.lacking or restored.lacking:
            writer.kill()
            return False, f"backup {n} lacks {told.lacking}"
        version = open_store(new).resolve_alias("m", "champion")
        for place in (new, registry):
            to = registry.parent / f"{place.name}.parquet"
            evermodel.predict_file("m", rows(500, 9).drop("y"), to=to, registry=place, version=version)
        if not pl.read_parquet(registry.parent / f"{new.name}.parquet").equals(
            pl.read_parquet(registry.parent / "registry.parquet")
        ):
            writer.kill()
            return False, f"backup {n} answers otherwise"
    out, _ = writer.communicate()
    updates = len(out.splitlines())
    return bool(n and updates and writer.returncode == 0), f"{n} backups restored, {updates} updates meanwhile"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--skip", type=int, default=0, help="this many kinds")
    parser.add_argument("--load", type=float, default=30.0, help="seconds of backup under load; 0: none")
    parser.add_argument("--single", action="store_true", help="damage single files of a default registry")
    given = parser.parse_args()
    failed = 0
    if given.single:
        with tempfile.TemporaryDirectory() as folder:
            equal, of = mend_single_files(Path(folder))
        print(f"{equal} of {of}: predictions equal after doctor --repair")
        return int(equal < of)
    with tempfile.TemporaryDirectory() as folder:
        whole = make(Path(folder) / "whole")
        expected = answers(whole)
        kinds = [d for d in DAMAGES if given.only in d.name][given.skip :]
        for number, damage in enumerate(kinds):
            registry = copied(whole, Path(folder) / f"case{number}")
            try:
                fine, said = tried(damage, registry, expected)
            except Exception as error:  # a kind that breaks the bench has failed
                fine, said = False, f"{type(error).__name__}: {error}"
            failed += not fine
            print(f"{'PASS' if fine else 'FAIL'}  {damage.name:<42} {damage.after:<7} {said}", flush=True)
            shutil.rmtree(registry.parent, ignore_errors=True)
        print(f"{len(kinds) - failed} of {len(kinds)} kinds found, and mended or said as they must be")
        if given.load:
            fine, said = under_load(copied(whole, Path(folder) / "load"), given.load)
            failed += not fine
            print(f"{'PASS' if fine else 'FAIL'}  backup under load: {said}")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
