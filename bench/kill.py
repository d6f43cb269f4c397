"""kill -9 at random moments of ``evermodel update``, and two updates at once: the store stays whole.

    python bench/kill.py [KILLS]

A model of ten LightGBM trees. One process has imported everything; each child forked from it runs one real update and
is killed after a delay drawn evenly from 0 to 1.3 times the measured length of an update; every second time the clock
starts with the first file it writes, and runs 1.3 times as long as writing takes. After each kill: the store opens, the
champion's files have their hashes and it predicts, so does every other version, and no file of a version or remembered
row is missing.
Every tenth time, and at the end, the next update is run to its end.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a forked child must not inherit waiting threads
os.environ.setdefault("POLARS_MAX_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import evermodel
from tests.cli.ground import ALLOWED, Ground, ask, make_ground
from tests.updating.conftest import rows

KILLS, PAIRS = 200, 10
MOVED = 1


def new_rows(folder: Path, seed: int) -> str:
    at = folder / f"new{seed}.csv"
    rows(300, seed, angle=0.02 * seed).write_csv(at)
    return str(at)


class Nursery:
    """A process that has imported everything and used nothing of it, so that what it forks has no broken threads."""

    def __init__(self) -> None:
        self._here, there = multiprocessing.Pipe()
        if os.fork() == 0:
            self._here.close()
            serve(there)

    def child(self, registry: Path, data: str, said: Path) -> int:
        """Starts one update in a process of its own; its exit code and words go into the file ``said``."""
        self._here.send((str(registry), data, str(said)))
        return int(self._here.recv())

    def wait(self, pid: int) -> None:
        self._here.send(pid)
        self._here.recv()


def serve(asked: Connection) -> None:
    """Forks an update for every (registry, data, said), waits for every number; ends with its parent."""
    for module in pkgutil.walk_packages(evermodel.__path__, "evermodel."):
        if module.name.split(".")[1] in ("loop", "metrics", "gates", "updates", "stores", "core", "sources"):
            importlib.import_module(module.name)
    importlib.import_module("evermodel.plugins.frameworks.lightgbm")
    importlib.import_module("lightgbm")
    while True:
        try:
            what = asked.recv()
        except EOFError:
            os._exit(0)
        if isinstance(what, int):
            os.waitpid(what, 0)
            asked.send(what)
            continue
        pid = os.fork()
        if pid == 0:
            answer = ask(["update", "m", what[1]], Path(what[0]))
            Path(what[2]).write_text(f"{answer.code}\n{answer.err}")
            os._exit(0)
        asked.send(pid)


def faults(registry: Path, sample: object) -> list[str]:
    """What is wrong with the store; each version is loaded with its hashes checked, and asked to predict."""
    from evermodel.registry.lookup import open_store
    from evermodel.registry.row_memory import read_memory
    from evermodel.registry.versions import load_version

    found = []
    try:
        store = open_store(registry)
        memory = read_memory(store, "m")
        for block in memory.blocks:
            store.get_blob(block.rows)
            store.get_blob(block.past) if block.past else None
        cards = store.list_cards("m")
        if store.resolve_alias("m", "champion") not in {c.version for c in cards}:
            found.append("the champion is no version")
        for card in cards:
            p = load_version(store, card).predict(sample)
            if not ((p >= 0) & (p <= 1)).all():
                found.append(f"{card.version} predicts no probabilities")
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}"[:200])
    return found


def stage_of(registry: Path, versions: int, events: int, staged: set[str]) -> str:
    """How far the killed update had come, as the store shows it."""
    from evermodel.registry.lookup import open_store

    store = open_store(registry)
    if len(store.read_events("m")) > events:
        return "all was done"
    if len(store.list_cards("m")) > versions:
        return "version put, name not moved"
    return "files staged" if staged_in(registry) - staged else "nothing written yet"


def staged_in(registry: Path) -> set[str]:
    return {p.name for p in (registry / "staging").iterdir()}


def kills(nursery: Nursery, ground: Ground, n: int) -> tuple[Counter[str], list[str]]:
    from evermodel.registry.lookup import open_store

    chance, wrong, stages = random.Random(0), [], Counter[str]()
    sample = rows(50, 9)
    length, writing = measured(nursery, ground)
    print(f"one update takes {length:.2f} s, the last {writing:.2f} s of it writing; {n} kills", flush=True)
    for i in range(n):
        registry = ground.folder / f"kill{i // 10}"
        if i % 10 == 0:
            fresh(ground, registry.name)
        store = open_store(registry)
        before = len(store.list_cards("m")), len(store.read_events("m")), staged_in(registry)
        pid = nursery.child(registry, new_rows(ground.folder, 100 + i), ground.folder / "said")
        if i % 2:
            wait_for_writing(registry, before[2])
        time.sleep(chance.uniform(0.0, 1.3 * (writing if i % 2 else length)))
        os.kill(pid, signal.SIGKILL)
        nursery.wait(pid)
        stages[stage_of(registry, *before)] += 1
        wrong += [f"kill {i}: {f}" for f in faults(registry, sample)]
        if i % 10 == 9:
            answer = ask(["update", "m", new_rows(ground.folder, 400 + i)], registry)
            if answer.code not in ALLOWED:
                wrong.append(f"the update after kill {i}: {answer.err[-200:]}")
            left = [p.name for p in (registry / "staging").iterdir() if f"~{os.getpid()}~" not in p.name]
            if left:
                wrong.append(f"staging of dead processes is left after kill {i}: {left[:3]}")
            wrong += [f"after kill {i} and an update: {f}" for f in [*faults(registry, sample), *orphans(registry)]]
            shutil.rmtree(registry)
    return stages, wrong


def orphans(registry: Path) -> list[str]:
    """Folders of versions without a row, after another update has been put."""
    from evermodel.registry.lookup import open_store

    known = {c.version for c in open_store(registry).list_cards("m")}
    return [f"{p.name} is no version" for p in (registry / "versions" / "m").iterdir() if p.name not in known]


def measured(nursery: Nursery, ground: Ground) -> tuple[float, float]:
    """Median seconds of an update, and of the part of it that writes."""
    took = []
    for i in range(3):
        registry = fresh(ground, f"timed{i}")
        data, staged = new_rows(ground.folder, 60 + i), staged_in(registry)
        began = time.monotonic()
        pid = nursery.child(registry, data, ground.folder / "said")
        wait_for_writing(registry, staged)
        writing = time.monotonic()
        nursery.wait(pid)
        took.append((time.monotonic() - began, time.monotonic() - writing))
    return sorted(t for t, _ in took)[1], sorted(w for _, w in took)[1]


def wait_for_writing(registry: Path, staged: set[str]) -> None:
    """Returns when the first file is staged; after ten seconds it is taken for a fault of the bench itself."""
    until = time.monotonic() + 10
    while not staged_in(registry) - staged:
        assert time.monotonic() < until, "the update never began to write"
        time.sleep(0.0005)


def fresh(ground: Ground, name: str) -> Path:
    return Path(shutil.copytree(ground.registry, ground.folder / name))


def together(nursery: Nursery, ground: Ground, n: int) -> tuple[Counter[str], list[str]]:
    """Two updates of one model begun at the same moment, ``n`` times."""
    wrong, ended = [], Counter[str]()
    for i in range(n):
        registry = fresh(ground, f"pair{i}")
        said = [ground.folder / f"said{k}" for k in (0, 1)]
        pids = [nursery.child(registry, new_rows(ground.folder, 700 + 2 * i + k), said[k]) for k in (0, 1)]
        for pid in pids:
            nursery.wait(pid)
        codes = [int(s.read_text().split("\n", 1)[0]) for s in said]
        losers = [s.read_text() for s, code in zip(said, codes, strict=True) if code == MOVED]
        good = sum(code in ALLOWED for code in codes)
        ended["one won, one was told" if losers else "one after the other"] += 1
        if good + len(losers) != 2 or not good:
            wrong.append(f"pair {i}: exit codes {codes}")
        wrong += [f"pair {i}: the loser said {t[-150:]!r}" for t in losers if "somebody was first" not in t]
        wrong += [f"pair {i}: {f}" for f in faults(registry, rows(50, 9))]
        shutil.rmtree(registry)
    return ended, wrong


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    began = time.monotonic()
    nursery = Nursery()
    with tempfile.TemporaryDirectory() as folder:
        ground = make_ground(Path(folder) / "ground")
        stages, wrong = kills(nursery, ground, n)
        ended, more = together(nursery, ground, PAIRS)
    for title, counts in (("killed when", stages), ("two at once", ended)):
        for what, count in counts.most_common():
            print(f"{title:14}{what:32}{count:5}")
    for line in (*wrong, *more):
        print("FAIL", line)
    print(f"{n} kills, {len(wrong)} faults; {PAIRS} pairs, {len(more)} faults; {time.monotonic() - began:.0f} s")
    print("FAIL" if wrong or more else "PASS")
    return bool(wrong or more)


if __name__ == "__main__":
    raise SystemExit(main())
