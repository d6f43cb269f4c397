"""A year in some minutes: four real streams, a clock that is handed in, faults at random; nobody looks.

    PYTHONPATH=src python bench/maintain_year.py [--streams electricity,…] [--seed 0] [--weeks 48] [--no-faults]

Each week its rows are delivered as a file, without labels; the labels come a week later, joined by an id. ``evermodel
maintain`` runs once a week with a policy of a few words: ``check`` a week, ``update`` four weeks. Faults of seven
kinds (bench/maintain_faults.py); a process that maintains is really killed (-9), another finds its disk full (the
registry lies on a disk of its own whose room is taken away; where none may be mounted, a limit on the size of files).
Beside it: never updated; the calendar (refit on all that was delivered, every four weeks, without a judge; under the
same faults, and without any); an oracle (refit on all rows of the past every week, labels at once, no faults). Scores
are on each week's true rows, in points, mean of four-week stretches. Compute: processor seconds of training, and of
everything. Wrong promotions that stay: in the four weeks after it the new version, and in the four after those what
served in each of them, is beyond doubt more than a point worse than what it replaced.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from evermodel.core.records.job import JobKind, JobOutcome
from evermodel.core.records.update_mode import UpdateMode
from evermodel.core.stats.metric import METRICS
from evermodel.registry.event_wording import describe_event

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl
from maintain_faults import STOPPED, Fault, broken, drawn, poisoned
from stream_data import STREAMS, Stream
from stream_models import deploy

import evermodel
from evermodel.core import clock as clocks
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.table import Table
from evermodel.core.errors import EvermodelError
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.maintenance.maintenance_state import read_maintenance_state
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.versions import load_version
from tests.small_disk import Disk, mounted

START = dt.datetime(2026, 1, 5, 6, tzinfo=dt.UTC)
STRETCH = 4  # weeks: the calendar's month, and what scores are taken over
POLICY = {"check": "week", "update": "4 weeks", "growth": 3, "age": "120 days", "id": "row_id"}


@dataclass
class Year:
    """A stream cut into weeks, with row numbers as ids."""

    stream: Stream
    weeks: list[pl.DataFrame]
    folder: Path
    registry: Path
    model: Path
    disk: Disk | None
    served: list[str] = field(default_factory=list)  # the version in service in each week
    said: list[str] = field(default_factory=list)


def prepared(name: str, weeks: int, folder: Path, disk: Disk | None, seed: int) -> Year:
    stream = STREAMS[name]()
    if name == "gas_sensor":  # fewer sensors, so that an oracle of every week is paid for; rows in no order of gases
        keep = [c for c in stream.blocks[0].columns if not c.startswith("s") or int(c[1:3]) <= 5]
        blocks = tuple(b.select(keep).sample(fraction=1.0, shuffle=True, seed=seed) for b in stream.blocks)
        stream = Stream(name, blocks, stream.target, stream.metric, stream.task, stream.adopting)
    rows = pl.concat(stream.blocks[1:]).with_row_index("row_id")
    ends = np.linspace(0, rows.height, weeks + 1).round().astype(int)
    cut = [rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
    (folder / "rows").mkdir(parents=True)
    (folder / "labels").mkdir()
    registry = (disk.at if disk else folder) / "registry"
    return Year(stream, cut, folder, registry, deploy(stream, "lightgbm", seed, folder), disk)


def deliver(year: Year, week: int, faults: dict[int, Fault], seed: int) -> None:
    """What comes at the end of ``week``: its rows, the labels of the week before, files of the week before mended."""
    target, fault = year.stream.target, faults.get(week)
    rows = year.weeks[week].drop(target)
    wrong = broken(fault, rows, target) if fault is not None else rows
    at = year.folder / "rows" / f"{week:03d}.parquet"
    at.write_bytes(wrong) if isinstance(wrong, bytes) else wrong.write_parquet(at)
    before = faults.get(week - 1)
    if before is not None and before.mended:
        year.weeks[week - 1].drop(target).write_parquet(year.folder / "rows" / f"{week - 1:03d}.parquet")
    stopped = [f.week for f in faults.values() if f.kind == "labels stop"]
    for labelled in range(week):
        at = year.folder / "labels" / f"{labelled:03d}.parquet"
        if at.exists() or any(s <= labelled < s + STOPPED and week < s + STOPPED + 1 for s in stopped):
            continue
        labels = year.weeks[labelled].select("row_id", target)
        if labelled in faults and faults[labelled].kind == "poisoned":
            labels = poisoned(labels, target, seed)
        labels.write_parquet(at)


def maintained(year: Year, faults: dict[int, Fault], seed: int, every: str) -> None:
    """The whole year; ``year.served`` gets the version in service in each week."""
    chance = random.Random(seed + 1)
    evermodel.adopt(
        year.model,
        data=year.stream.blocks[0],
        target=year.stream.target,
        name="m",
        registry=year.registry,
        **year.stream.adopting,
    )
    now = [START]
    policy = {**POLICY, "update": every, "metric": year.stream.metric}
    policy |= {"data": str(year.folder / "rows"), "labels": str(year.folder / "labels")}
    with clocks.use_clock(lambda: now[0]):
        evermodel.policy("m", policy, registry=year.registry)
    for week in range(len(year.weeks)):
        year.served.append(champion_of(open_store(year.registry), "m").version)
        deliver(year, week, faults, seed)
        now[0] = START + dt.timedelta(weeks=week + 1, hours=1)
        fault = faults.get(week)
        if fault is not None and fault.kind in ("killed", "full disk"):
            year.said.append(f"week {week}: {struck(year, now[0], fault, chance)}")
            now[0] += dt.timedelta(hours=1)  # whoever was killed held a lease; the next run takes it over
        done = evermodel.maintain(registry=year.registry, clock=lambda: now[0])
        for job in done.jobs:
            told = [w for w in job.notes if w.startswith(("refused", "alarm", "went back", "kept", "not updated"))]
            year.said += [f"week {week}: {job.kind} {job.state} {job.decision or ''} {w}" for w in told]
            if job.state != "done":
                year.said.append(f"week {week}: {job.kind} {job.state}: {'; '.join(job.notes)}")


def struck(year: Year, now: dt.datetime, fault: Fault, chance: random.Random) -> str:
    """A process of its own maintains, and is killed at a random moment, or cannot write."""
    words = [sys.executable, __file__, "--child", str(year.registry), now.isoformat()]
    full = fault.kind == "full disk"
    if full and year.disk:
        year.disk.leave(chance.randrange(200_000))
    limit = "20000" if full and not year.disk else ""
    ready = year.folder / "ready"
    ready.unlink(missing_ok=True)
    child = subprocess.Popen(
        [*words, str(ready), limit], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ.copy()
    )
    if fault.kind == "killed":
        store = open_store(year.registry)
        while not store.list_jobs("m", states=("running",)) and child.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 2.0))
        child.send_signal(signal.SIGKILL)
    out = child.communicate()[0].decode()
    if full and year.disk:
        year.disk.free()
    held = [j.kind for j in open_store(year.registry).list_jobs("m", states=("running",))]
    return f"{fault.kind}: exit {child.returncode}, left running: {held or 'nothing'} {out[-100:].strip()!r}"


def child(registry: str, now: str, ready: str, limit: str) -> None:
    moment = dt.datetime.fromisoformat(now)
    evermodel.models(registry=registry)
    Path(ready).touch()
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    print(evermodel.maintain(registry=registry, clock=lambda: moment).lines()[-1][:80])


def score(year: Year, model: Model, weeks: range) -> float:
    """Points on the true rows of some weeks."""
    y, p = zip(*(answers(year, model, w) for w in weeks), strict=True)
    return 100.0 * float(METRICS.load(year.stream.metric)(np.concatenate(y), np.concatenate(p)))


def answers(year: Year, model: Model, week: int) -> tuple[np.ndarray, np.ndarray]:
    table = table_of(model, year.weeks[week])
    return model.target(table), model.predict(table.frame)


def table_of(model: Model, frame: pl.DataFrame) -> Table:
    found = compare_with_contract(model.contract, frame.drop("row_id", strict=False).lazy())
    return clean(found.migrated(frame.lazy()), model.contract, labelled=True).collect()


def mean_of(year: Year, models: list[Model]) -> float:
    """The mean over stretches of four weeks, each week answered by the model of that week."""
    found = []
    for first in range(0, len(models), STRETCH):
        both = [answers(year, models[w], w) for w in range(first, min(first + STRETCH, len(models)))]
        y, p = (np.concatenate(part) for part in zip(*both, strict=True))
        found.append(100.0 * float(METRICS.load(year.stream.metric)(y, p)))
    return float(np.mean(found))


def refitted(first: Model, year: Year, every: int, known: dict[int, list[pl.DataFrame]]) -> tuple[list[Model], float]:
    """Refit on all that is known every ``every`` weeks: the model of each week, and the seconds of training."""
    models, now, seconds = [], first, 0.0
    for week in range(len(year.weeks)):
        if week and week % every == 0 and known[week]:
            table = table_of(first, pl.concat([year.stream.blocks[0], *known[week]], how="diagonal_relaxed"))
            began = time.process_time()
            now = Context(0).run_strategy("refit", [first], Split(table, None))
            seconds += time.process_time() - began
        models.append(now)
    return models, seconds


def delivered(year: Year, faults: dict[int, Fault], seed: int, first: Model) -> dict[int, list[pl.DataFrame]]:
    """Per week, what a script without a judge could have read by then: labelled rows as they were delivered."""
    target, found = year.stream.target, {}
    usable = set(first.contract.names) | {target}
    for week in range(len(year.weeks)):
        parts = []
        for w in range(max(0, week - 1)):
            fault = faults.get(w)
            rows = year.weeks[w]
            stopped = any(
                f.kind == "labels stop" and f.week <= w < f.week + STOPPED and week <= f.week + STOPPED
                for f in faults.values()
            )
            if stopped:
                continue
            if fault is not None and fault.kind == "poisoned":
                rows = rows.drop(target).join(poisoned(rows.select("row_id", target), target, seed), on="row_id")
            if usable <= set(rows.columns):
                parts.append(rows.drop("row_id"))
        found[week] = parts
    return found


def wrong_that_stay(year: Year) -> tuple[int, int, list[str]]:
    """Promotions; those that were wrong four weeks on and stayed; in words."""
    store, models, told, promotions, wrong = open_store(year.registry), {}, [], 0, 0

    def model(version: str) -> Model:
        if version not in models:
            models[version] = load_version(store, store.read_card("m", version))
        return models[version]

    for week in range(1, len(year.weeks)):
        before, after = year.served[week - 1], year.served[week]
        if before == after or int(after[1:]) < int(before[1:]):
            continue
        promotions += 1
        if week + 2 * STRETCH > len(year.weeks):
            continue
        now, later = range(week, week + STRETCH), range(week + STRETCH, week + 2 * STRETCH)
        lost = shown_gain(year, [(w, model(before), model(after)) for w in now])
        still = shown_gain(year, [(w, model(before), model(year.served[w])) for w in later])
        if lost < -1.0:
            told.append(f"week {week}: {before} -> {after} at most {lost:+.2f} in four weeks, {still:+.2f} in the next")
        wrong += lost < -1.0 and still < -1.0
    return promotions, wrong, told


def shown_gain(year: Year, weeks: list[tuple[int, Model, Model]]) -> float:
    """The most that may have been gained, in points, over weeks of (number, model before, model after).

    The upper end of a 98 % interval, rows of a day together.
    """
    both = [(*answers(year, before, w), answers(year, after, w)[1]) for w, before, after in weeks]
    y, p, q = (np.concatenate(part) for part in zip(*both, strict=True))
    rows = PairedPredictions(y, p, q, groups=np.arange(len(y)) * 7 * len(weeks) // len(y))
    return 100.0 * compare_predictions(year.stream.metric, rows, confidence=0.98).gain_high


def run(name: str, given: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, mounted() as disk:
        year = prepared(name, given.weeks, Path(folder), disk, given.seed)
        faults = {} if given.no_faults else {f.week: f for f in drawn(given.weeks, given.seed)}
        began = time.process_time()
        maintained(year, faults, given.seed, given.update)
        spent = time.process_time() - began
        store = open_store(year.registry)
        jobs = store.list_jobs("m")
        training = sum(j.outcome.training_seconds for j in jobs if j.outcome)
        updates = sum(j.outcome.compute_seconds for j in jobs if j.kind is JobKind.UPDATE and j.outcome)
        versions = {v: load_version(store, store.read_card("m", v)) for v in set(year.served)}
        first = load_version(store, store.read_card("m", "v1"))
        ours = mean_of(year, [versions[v] for v in year.served])
        never = mean_of(year, [first] * given.weeks)
        known = delivered(year, faults, given.seed, first)
        calendar, seconds = refitted(first, year, STRETCH, known)
        whole = given.weeks + 1 if given.quick else STRETCH
        clean_models, _ = refitted(first, year, whole, delivered(year, {}, given.seed, first))
        past = {w: [r.drop("row_id") for r in year.weeks[:w]] for w in range(given.weeks)}
        oracle, _ = refitted(first, year, given.weeks + 1 if given.quick else 1, past)
        promotions, wrong, told = wrong_that_stay(year)
        unknown = float("nan")
        found = {
            "never": never,
            "calendar": mean_of(year, calendar),
            "clean calendar": unknown if given.quick else mean_of(year, clean_models),
            "oracle": unknown if given.quick else mean_of(year, oracle),
            "maintained": ours,
            "training": training,
            "calendar training": seconds,
            "update jobs": updates,
            "everything": spent,
            "promotions": promotions,
            "wrong": wrong,
            "ways": ", ".join(describe_mode_cost(m, [j.outcome for j in jobs if j.outcome]) for m in UpdateMode),
            "remembered": sum(read_maintenance_state(store, "m")[0].spent.values()),
        }
        if given.why:
            print("\n".join([*(f"  {w}: {f.kind}" for w, f in sorted(faults.items())), *year.said, *told]), flush=True)
            for e in store.read_events("m"):
                if e.kind not in ("alarm closed",):
                    print("   ", e.at[:10], e.kind, e.version, describe_event(e)[:150])
        unfinished = [j for j in jobs if j.state in ("due", "running")]
        assert not unfinished, unfinished
        return found


def describe_mode_cost(mode: UpdateMode, outcomes: list[JobOutcome]) -> str:
    spent = [o.training_seconds for o in outcomes if o.update_mode is mode]
    return f"{len(spent)} {mode} {sum(spent):.2f} s"


def shown(name: str, f: dict[str, float]) -> int:
    gain, share = f["maintained"] - f["calendar"], f["training"] / f["calendar training"]
    passed = gain >= 0 and share <= 0.5 and not f["wrong"]
    print(
        f"{'PASS' if passed else 'FAIL'}  {name:<15} maintained {f['maintained']:6.2f}  calendar {f['calendar']:6.2f} "
        f"(no faults {f['clean calendar']:6.2f})  never {f['never']:6.2f}  oracle {f['oracle']:6.2f} | training "
        f"{f['training']:5.1f} s, calendar {f['calendar training']:5.1f} s: x{share:.2f}; all update jobs "
        f"{f['update jobs']:.0f} s, with watching and checks {f['everything']:.0f} s | {f['promotions']:.0f} "
        f"promotions, {f['wrong']:.0f} wrong ones stayed {f['ways']}",
        flush=True,
    )
    return not passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", default="electricity,bank_marketing,bike_sharing,gas_sensor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weeks", type=int, default=48)
    parser.add_argument("--update", default=POLICY["update"], help="the policy's update")
    parser.add_argument("--quick", action="store_true", help="neither oracle nor a calendar without faults")
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--why", action="store_true", help="print faults, events and wrong promotions too")
    given, began = parser.parse_args(), time.monotonic()
    found, failed = {}, 0
    for name in given.streams.split(","):
        found[name] = run(name, given)
        failed += shown(name, found[name])
    gains = [f["maintained"] - f["calendar"] for f in found.values()]
    shares = [f["training"] / f["calendar training"] for f in found.values()]
    wrong = sum(f["wrong"] for f in found.values())
    print(
        f"mean: {np.mean(gains):+.2f} points to the calendar under the same faults, x{np.mean(shares):.2f} of its "
        f"training; {wrong:.0f} wrong promotions stayed; {failed} streams failed; {time.monotonic() - began:.0f} s"
    )
    raise SystemExit(bool(np.mean(gains) < 0 or np.mean(shares) > 0.5 or wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        try:
            child(*sys.argv[2:])
        except EvermodelError as error:
            raise SystemExit(str(error)[:200]) from None
    else:
        main()
