"""Poisoned deliveries that nobody looks at: caught before promotion, or rolled back; the predictions they touched.

    PYTHONPATH=src python bench/maintain_poison.py [--streams electricity,…] [--kinds lightgbm,sklearn] [--at 2,4]

A model is maintained by its policy (an update a week); the block of one week is poisoned: the labels of one slice
turned round, a column a thousand times too large, half of the rows copies of one user's, a column that is the answer (a
leak). Then clean weeks come, a block in six parts. Caught: refused, set aside, or the copies left out, before anything
is promoted. Harmless: promoted, and on the next block at most a point below what served before. Rolled back: probation
went back to the former champion; promoted: a later update replaced it; the rows predicted in between are counted. The
clean runs say how often a clean week is taken for poison ("caught" there is wrong).
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import polars as pl
from poison import one_user, scaled_column
from stream_data import STREAMS, Stream
from stream_models import deploy
from streams import score

import evermodel
from evermodel.core import clock as clocks
from evermodel.core.records.update_decision import EVENT_KINDS
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.versions import load_version

START = dt.datetime(2026, 1, 5, 6, tzinfo=dt.UTC)
PARTS = 6  # of a block after the poison: probation looks at each


def slice_turned(stream: Stream, block: pl.DataFrame) -> pl.DataFrame:
    """Labels of a quarter of the rows, the largest values of one column, turned round (a number: mirrored)."""
    name = _number(stream, block)
    hit, y = block[name] >= block[name].quantile(0.75), block[stream.target]
    if stream.task == "regression":
        other = y.max() + y.min() - y
    else:
        known = y.unique().sort()
        other = known.gather(((y.rank("dense") - 1).cast(pl.Int64) + 1) % len(known))
    return block.with_columns(pl.when(hit).then(other).otherwise(y).alias(stream.target))


def leak(stream: Stream, block: pl.DataFrame) -> pl.DataFrame:
    """A column that is the target of the row, with a little noise: the future, which is not there when one predicts."""
    name = _number(stream, block)
    y = block[stream.target].rank("dense").cast(pl.Float64).to_numpy()
    told = y + np.random.default_rng(0).normal(0, 0.02 * max(1.0, np.ptp(y)), len(y))
    values = np.sort(block[name].cast(pl.Float64).to_numpy())  # the answer's order in the column's own values
    column = pl.Series(name, values[np.argsort(np.argsort(told))])
    return block.with_columns(column)


def _number(stream: Stream, block: pl.DataFrame) -> str:
    skip = {stream.target, *stream.adopting.values()}
    return next(c for c in block.columns if c not in skip and block[c].dtype.is_numeric() and block[c].n_unique() > 20)


POISONS = {
    "clean": None,
    "labels of a slice": slice_turned,
    "column x1000": scaled_column,
    "copies of one user": one_user,
    "leak": leak,
}


def run(stream: Stream, file: Path, what: str, at: int) -> tuple[str, int, str]:
    """What became of it, the rows it touched, and why."""
    with tempfile.TemporaryDirectory() as folder:
        registry, inbox, now = Path(folder) / "registry", Path(folder) / "in", START
        inbox.mkdir()
        evermodel.adopt(
            file, data=stream.blocks[0], target=stream.target, name="m", registry=registry, **stream.adopting
        )
        told = {"data": str(inbox), "every": "week", "steps": "intake,probation"}
        with clocks.use_clock(lambda: START):
            evermodel.policy("m", told, registry=registry)
        for week, block in enumerate(stream.blocks[1 : at + 1], 1):
            poison = POISONS[what] if week == at else None
            before = champion_of(open_store(registry), "m").version
            (poison(stream, block) if poison else block).write_parquet(inbox / f"{week:02d}.parquet")
            now = START + dt.timedelta(weeks=week, hours=1)
            done = evermodel.maintain(registry=registry, clock=lambda now=now: now)
        after = champion_of(open_store(registry), "m").version
        said = [w for j in done.jobs for w in j.notes if not w.startswith(("took", "an incremental", "a full", "kept"))]
        why = said[0] if said else ""
        if what == "copies of one user" and any("copies of others" in w for w in said):
            return "caught", 0, why
        if after == before:
            refused = any(w.startswith("refused") for w in said)
            verdict = [e for e in open_store(registry).read_events("m") if e.kind in EVENT_KINDS.values()][-1]
            return "caught" if refused or verdict.kind != "promoted" else "?", 0, why
        return _afterwards(stream, registry, inbox, at, before, after, now)


def _afterwards(
    stream: Stream, registry: Path, inbox: Path, at: int, before: str, after: str, now: dt.datetime
) -> tuple[str, int, str]:
    store, following = open_store(registry), stream.blocks[at + 1]
    models = [load_version(store, store.read_card("m", v)) for v in (before, after)]
    lost = score(stream, models[1], following) - score(stream, models[0], following)
    if lost >= -1.0:
        return "harmless", 0, f"{lost:+.2f} points on the next block"
    ends, touched = np.linspace(0, following.height, PARTS + 1).round().astype(int), 0
    for part, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True), 1):
        touched += int(b - a)
        following[a:b].write_parquet(inbox / f"after{part}.parquet")
        moment = now + dt.timedelta(weeks=part)
        evermodel.maintain(registry=registry, clock=lambda moment=moment: moment)
        serving = champion_of(store, "m").version
        if serving != after:
            kind = store.read_events("m")[-1].kind
            how = [e for e in store.read_events("m") if e.kind in ("rolled back", "promoted")][-1].kind
            return how, touched, f"{lost:+.2f} points on the next block; last: {kind}"
    return "stays", touched, f"{lost:+.2f} points on the next block"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", default="electricity,bank_marketing,bike_sharing")
    parser.add_argument("--kinds", default="lightgbm,sklearn")
    parser.add_argument("--at", default="2,4")
    given = parser.parse_args()
    found: Counter[str] = Counter()
    clean: Counter[str] = Counter()
    for name in given.streams.split(","):
        stream = STREAMS[name]()
        for kind in given.kinds.split(","):
            with tempfile.TemporaryDirectory() as folder:
                file = deploy(stream, kind, 0, Path(folder))
                for what in POISONS:
                    for at in map(int, given.at.split(",")):
                        ended, touched, why = run(stream, file, what, at)
                        (clean if what == "clean" else found)[ended] += 1
                        print(
                            f"{ended:<12} {name:<15} {kind:<9} {what:<19} week {at}  rows touched {touched:>6,}  "
                            f"{why[:150]}",
                            flush=True,
                        )
    total = sum(found.values())
    before = found["caught"] + found["harmless"]
    back = found["rolled back"] + found["promoted"]
    print(
        f"clean weeks: {dict(clean)}; poisoned: {dict(found)}; {before} of {total} caught before promotion or harmless "
        f"({100 * before / total:.0f} %), {back} taken back, {found['stays']} stay"
    )
    raise SystemExit(bool(found["stays"] or before < 0.95 * total))


if __name__ == "__main__":
    main()
