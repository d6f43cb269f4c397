"""Tuning again on newer rows: trials until within .005 of the best, cold against warm.

    python bench/tune_warm.py [--streams electricity,bank_marketing,bike_sharing] [--seeds 3] [--space grid|usual]

A LightGBM model is adopted and tuned on early blocks of a stream; then again on the next block ("mild") and on the
newest ("strong"), once cold and once warm: beginning with what is deployed and what the earlier search found. Cold
means that neither is known. ``grid``: 27 points (learning rate, leaves, rounds), and the best is the space's own, found
by training all of them. ``usual``: the seven dimensions that tune takes by itself; the best is the luckiest of the two
searches' trials, on bank by more than .005. Prints the medians and each bar with PASS or FAIL.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
from stream_data import STREAMS, Stream
from stream_models import deploy

import evermodel

NEAR = 0.005
FIRST, NEXT, LAST = 1, 2, 7  # blocks: tuned on first, then on the next one or on one much later
GRID = {"learning_rate": [0.02, 0.06, 0.2], "num_leaves": [7, 31, 127], "rounds": [60, 200, 600]}
ALL = 28  # trials that suffice for every point of the grid, and what is deployed
TRIALS = 25  # of the usual space


def trials_to(trials, score: float, skip_deployed: bool) -> int:
    """How many points were trained until one is within .005 of the best."""
    tried = [t for t in trials if not (skip_deployed and t.note)]
    for count, t in enumerate(tried, 1):
        if t.state == "whole" and t.score >= score - NEAR:
            return count
    return len(tried) + 1


def one(stream: Stream, seed: int, grid: bool) -> dict[str, tuple[int, int]]:
    """(cold, warm) trials after mild and after strong drift."""
    asked = {"space": GRID, "trials": ALL} if grid else {"trials": TRIALS}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry"
        file = deploy(stream, "lightgbm", seed, Path(folder))
        told = {"data": stream.blocks[0], "target": stream.target, "registry": registry, **stream.adopting}
        evermodel.adopt(file, name="m", **told)
        first = evermodel.tune("m", stream.blocks[FIRST], seed=seed, registry=registry, refit=False, **asked)
        if first.in_service == "v1":
            evermodel.promote("m", first.challenger, registry=registry)
        for drift, at in (("mild", NEXT), ("strong", LAST)):
            ways = {"cold": {"warm": False}, "warm": {"warm": True}}
            if grid:
                ways["all"] = {"warm": False, "tuner": "grid"}
            runs = {}
            for way, how in ways.items():
                copy, rows = shutil.copytree(registry, Path(folder) / f"{drift}{way}"), stream.blocks[at]
                runs[way] = evermodel.tune(
                    "m", rows, seed=seed + 100, registry=copy, refit=False, **how, **asked
                ).trials
            best = max(t.score for r in runs.values() for t in r if t.state == "whole")
            found[drift] = trials_to(runs["cold"], best, True), trials_to(runs["warm"], best, False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", default="electricity,bank_marketing,bike_sharing")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--space", choices=("grid", "usual"), default="grid")
    given = parser.parse_args()
    every: dict[str, list[tuple[int, int]]] = {"mild": [], "strong": []}
    for name in given.streams.split(","):
        for seed in range(given.seeds):
            found = one(STREAMS[name](), seed, given.space == "grid")
            for drift, pair in found.items():
                every[drift].append(pair)
            print(
                f"{name:<15}{seed}  " + "  ".join(f"{d}: cold {c}, warm {w}" for d, (c, w) in found.items()), flush=True
            )
    cold, warm = (float(np.median([p[i] for p in every["mild"]])) for i in (0, 1))
    print(f"{'PASS' if warm <= 3 else 'FAIL'}  mild drift: median {warm:g} trials warm (bar 1 to 3), {cold:g} cold")
    cold, warm = (float(np.median([p[i] for p in every["strong"]])) for i in (0, 1))
    print(
        f"{'PASS' if warm <= cold / 2 else 'FAIL'}  strong drift: median {warm:g} trials warm, {cold:g} cold (bar half)"
    )


if __name__ == "__main__":
    main()
