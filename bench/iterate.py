"""``iterate --goal faster`` and ``--goal better`` from end to end: what is promoted, and what it is worth afterwards.

    python bench/iterate.py [--only bank_marketing,traffic_signs] [--goals faster,better] [--seed 0] [--reports FOLDER]

A model is trained on the first blocks of a stream and adopted with them: LightGBM on bank_marketing, a Keras CNN on
traffic_signs (whole tracks stay on one side of every split). The next blocks are the new rows; the block after those,
which no step has seen, scores what was in service before and what is now. Prints each bar with PASS
or FAIL: a version was promoted, it is faster (or better) as asked, and its report was written.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import polars as pl
from stream_data import STREAMS
from stream_models import deploy

import evermodel

# What is deployed, on how many blocks it was trained, and how many blocks of new rows follow; the one after scores.
KINDS = {"bank_marketing": ("lightgbm", 5, 3), "traffic_signs": ("keras", 2, 2)}
TRIALS = 12
SEARCHING = 300.0  # seconds at most, which is what ends the search of the CNN


def one(name: str, goal: str, seed: int, reports: Path) -> list[tuple[bool, str]]:
    """Adopts, iterates, reports; what was asked for, and whether it came."""
    kind, known, count = KINDS[name]
    whole = STREAMS[name]()
    stream = dataclasses.replace(whole, blocks=(pl.concat(whole.blocks[:known]),))
    new, later = pl.concat(whole.blocks[known : known + count]), whole.blocks[known + count]
    with tempfile.TemporaryDirectory() as folder:
        registry, file = Path(folder) / "registry", deploy(stream, kind, seed, Path(folder))
        told = {"data": stream.blocks[0], "target": stream.target, "registry": registry, **stream.adopting}
        evermodel.adopt(file, name=name, **told)
        done = evermodel.iterate(
            name, new, goal=goal, trials=TRIALS, budget=SEARCHING / 0.7, seed=seed, registry=registry
        )
        print(done, flush=True)
        scores = [
            evermodel.evaluate(name, later, version=v, registry=registry).scores[stream.metric]
            for v in (done.champion, done.in_service)
        ]
        page = reports / f"{name}-{goal}.html"
        evermodel.report(name, done.in_service, to=page, registry=registry)
    words = f"{name}, {goal}: "
    speed, size = done.latency[0] / done.latency[1], done.size[1] / done.size[0]
    after = f"{stream.metric} on the block after {scores[0]:.4f} -> {scores[1]:.4f}"
    told = [(done.decision == "promote", f"{words}{done.in_service} is in service, {done.champion} was")]
    if goal == "faster":
        told.append((speed >= 1.05 or size <= 0.95, f"{words}{speed:.2f}x as fast, x{size:.2f} in size; {after}"))
    else:
        told.append((scores[1] > scores[0], f"{words}{after}; {speed:.2f}x as fast, x{size:.2f} in size"))
    return [*told, (page.stat().st_size > 10_000, f"{words}report {page.stat().st_size / 1000:.0f} kB")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--goals", default="faster,better")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reports", type=Path, help="Keep the reports here.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = given.reports or Path(folder)
        reports.mkdir(parents=True, exist_ok=True)
        for name in given.only.split(","):
            for goal in given.goals.split(","):
                for kept, words in one(name, goal, given.seed, reports):
                    print(f"{'PASS' if kept else 'FAIL'}  {words}", flush=True)


if __name__ == "__main__":
    main()
