"""Replicas of ``evermodel maintain`` on one store, killed at random: each due job ran exactly once, none is lost.

    PYTHONPATH=src:. python bench/maintain_replicas.py [--minutes 30] [--store postgresql|sqlite] [--replicas 3]

Three models with a check every 10 seconds and an update every 30; rows are delivered all the while. Every replica is a
process of its own that maintains all models in a loop with the machine's clock; every 2 to 8 seconds one is killed (-9)
and another started. A witness, written in the same transaction as a check's end, counts the checks apart from the jobs'
own table; verdicts count the updates. At the end: the killing stops, the rest is done, and it is counted. "Skipped" are
moments at which a job of that kind was still missing when the next was due: these are caught up once, by design.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parents[1]))

import evermodel
from evermodel.core.errors import EvermodelError
from evermodel.core.records.event import EventKind, Notified
from evermodel.core.records.job import JobKind
from evermodel.core.records.update_decision import EVENT_KINDS
from evermodel.maintenance.schedule_jobs import BY_SCHEDULE, read_policy
from evermodel.registry.lookup import open_store
from scripts import postgres as running
from tests.cli.ground import make_ground
from tests.updating.conftest import rows

MODELS = ("a", "b", "c")
LEASE = 8.0
POLICY = {
    "check": "10 seconds",
    "update": "30 seconds",
    "min_rows": 100,
    "back_off": "2s",
    "retries": 50,
    "steps": "intake,look,witness,probation,triggers",
}


def replica(registry: str) -> None:
    """Maintains for ever; the witness is a step of ours, found where an installed plugin's would be."""
    _with_witness()
    while True:
        try:
            for job in evermodel.maintain(registry=registry, lease=LEASE).jobs:
                print(job.name, job.kind, job.due, job.state, "; ".join(job.notes)[:200], flush=True)
        except EvermodelError as error:
            print("!", str(error)[:200], flush=True)
        time.sleep(0.5)


def _with_witness() -> None:
    from evermodel.maintenance.job_context import STEPS

    class Witness:
        @staticmethod
        def witness(turn):  # type: ignore[no-untyped-def]
            return turn.with_event(EventKind.NOTIFIED, Notified("witness", "ok", turn.job.due))

    load = STEPS.load_module
    STEPS.load_module = lambda name: Witness if name == "witness" else load(name)  # type: ignore[method-assign,assignment]


def begun(registry: Path, folder: Path) -> None:
    ground = make_ground(folder / "ground")
    _with_witness()
    for name in MODELS:
        evermodel.adopt(ground.model, data=ground.reference, target="y", time="when", name=name, registry=registry)
        inbox = folder / name
        inbox.mkdir()
        evermodel.policy(name, {**POLICY, "data": str(inbox)}, registry=registry)


def started(registry: Path, log: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-W", "ignore", __file__, "--replica", str(registry)]
    return subprocess.Popen(words, stdout=log.open("ab"), stderr=subprocess.STDOUT)


def deliver(folder: Path, number: int) -> None:
    for i, name in enumerate(MODELS):
        at = folder / name / f"{number:05d}.csv"
        rows(60, 1_000 + number * len(MODELS) + i).write_csv(at.with_suffix(".part"))
        at.with_suffix(".part").rename(at)


def stormed(registry: Path, folder: Path, minutes: float, replicas: int, seed: int) -> int:
    """Kills and starts anew until the time is over; returns how often."""
    chance, log, kills = random.Random(seed), folder / "replicas.log", 0
    alive = [started(registry, log) for _ in range(replicas)]
    end, number, next_kill = time.monotonic() + 60 * minutes, 0, time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(1.0)
        if int(time.monotonic()) % 5 == 0:
            deliver(folder, number := number + 1)
        if time.monotonic() >= next_kill:
            at = chance.randrange(replicas)
            alive[at].send_signal(signal.SIGKILL)
            alive[at].wait()
            alive[at] = started(registry, log)
            kills, next_kill = kills + 1, time.monotonic() + chance.uniform(2.0, 8.0) * 3 / replicas
    _settled(registry)
    for one in alive:
        one.send_signal(signal.SIGKILL)
        one.wait()
    time.sleep(LEASE + 1)
    _settled(registry, alone=True)
    return kills


def _settled(registry: Path, *, alone: bool = False) -> None:
    """Until nothing is due, or running; at most two minutes. New jobs come all the while, so the last may be new."""
    end = time.monotonic() + (120 if alone else 25)
    while time.monotonic() < end:
        if alone:
            evermodel.maintain(registry=registry, lease=LEASE)
        if not open_store(registry).list_jobs(states=("due", "running")):
            return
        time.sleep(0.2)


def counted(registry: Path) -> list[str]:
    """What is wrong; prints what was counted."""
    store, wrong = open_store(registry), []
    for name in MODELS:
        jobs, log = store.list_jobs(name), store.read_events(name)
        states = Counter(j.state for j in jobs)
        witnesses = Counter(e.data.what for e in log if isinstance(e.data, Notified) and e.data.key == "witness")
        checks = [j for j in jobs if j.kind == "check"]
        odd = [j for j in checks if witnesses[j.due] != 1]
        wrong += [f"{name} check {j.due} ({j.state}) ran {witnesses[j.due]} times" for j in odd]
        verdicts = Counter(e.version for e in log if e.kind in EVENT_KINDS.values())
        said = [j.outcome.version for j in jobs if j.kind is JobKind.UPDATE and j.outcome and j.outcome.version]
        if Counter(said) != verdicts:
            wrong.append(f"{name}: updates say {Counter(said) - verdicts}, verdicts {verdicts - Counter(said)}")
        if set(states) - {"done"}:
            wrong += [f"{name}: {j.kind} {j.due} {j.state} {j.outcome}" for j in jobs if j.state != "done"]
        _, since = read_policy(store, name)
        skipped = 0
        for kind in ("check", "update"):
            there = sorted(j.due for j in jobs if j.kind == kind and j.has_reason(*BY_SCHEDULE))
            span = (_moment(there[-1]) - since).total_seconds() if there else 0.0
            expected = int(span // {"check": 10, "update": 30}[kind]) + (kind == "check")
            skipped += expected - len(there)
        again = sum(j.attempts > 1 for j in jobs)
        print(
            f"{name}: {len(checks)} checks, {len(jobs) - len(checks)} updates, {again} taken over or tried again, "
            f"{len(said)} verdicts, {skipped} skipped; states {dict(states)}",
            flush=True,
        )
    return wrong


def _moment(text: str):  # type: ignore[no-untyped-def]
    import datetime as dt

    return dt.datetime.fromisoformat(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--store", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--replicas", type=int, default=0, help="3 on PostgreSQL, 2 on SQLite unless told")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="leave the folder of the run here")
    given = parser.parse_args()
    replicas = given.replicas or (3 if given.store == "postgresql" else 2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = folder / "registry"
        registry.mkdir()
        if given.store == "postgresql":
            server = stack.enter_context(running.postgres())
            (folder / "store.toml").write_text(f'database = "{server.fresh()}"\n')
            os.environ["EVERMODEL_STORE"] = str(folder / "store.toml")
        begun(registry, folder)
        kills = stormed(registry, folder, given.minutes, replicas, given.seed)
        wrong = counted(registry)
        if given.keep:
            shutil.copytree(folder, given.keep, ignore=shutil.ignore_patterns("*.sock*"))
    for line in wrong[:20]:
        print("FAIL", line)
    print(f"{given.store}, {replicas} replicas, {given.minutes:g} minutes, {kills} kills: {len(wrong)} faults")
    print("FAIL" if wrong else "PASS")
    return bool(wrong)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--replica"]:
        replica(sys.argv[2])
    raise SystemExit(main())
