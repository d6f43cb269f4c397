"""Fused versions against the best single one; two independent starts averaged after alignment; students.

    python bench/fuse.py [--streams …] [--seeds 5] [--out FILE.json]

On each stream a LightGBM model is adopted and updated in four ways on different blocks, so that there are five
versions. ``evermodel.fuse`` fuses them with the next block as its rows; the block after that, which nobody has seen,
scores the fused model, the student that ``--with distill`` makes, and every version. The best single version is the
one that scores best on the rows fuse chose by. "Beyond noise": the paired 95 % interval of the difference lies below
0. Prints each bar with PASS or FAIL.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.stats.metric import METRICS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import polars as pl
from stream_data import STREAMS, Stream, equal_blocks
from stream_models import deploy

import evermodel
from evermodel.core.data.cleaning import clean
from evermodel.core.data.table import Table
from evermodel.judging.comparison import compare_predictions
from evermodel.judging.judge_input import PairedPredictions
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

WAYS = (("refit", {"window": 1}), ("refit", {}), ("recency_ensemble", {}), ("refit", {"half_life": 1.0}))
CHOSEN = ("bank_marketing", "electricity", "bike_sharing", "gas_sensor", "heart_disease")
BLOCKS = 7  # one deployed on, four updates, one to fuse with, one to score on


def seven(stream: Stream, seed: int) -> Stream:
    """The stream in seven blocks; one whose order means nothing is dealt anew by each seed."""
    frame = pl.concat(stream.blocks)
    if stream.adopting.get("shuffled"):
        frame = frame.sample(fraction=1.0, shuffle=True, seed=seed)
        return dataclasses.replace(stream, blocks=equal_blocks(frame, 1 / BLOCKS, BLOCKS - 1))
    return dataclasses.replace(stream, blocks=equal_blocks(frame, 0.3 + 0.02 * seed, BLOCKS - 1))


def one(stream: Stream, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry"
        file = deploy(stream, "lightgbm", seed, Path(folder))
        told = dict(stream.adopting)
        evermodel.adopt(file, data=stream.blocks[0], target=stream.target, name="m", registry=registry, **told)
        for block, (way, settings) in zip(stream.blocks[1:5], WAYS, strict=True):
            evermodel.update("m", block, strategy=way, settings=settings, registry=registry, seed=seed, refit=False)
        names = [row["version"] for row in evermodel.show("m", registry=registry).rows]
        beside = shutil.copytree(registry, Path(folder) / "beside")  # the block is known once it was used
        fused = evermodel.fuse("m", names, data=stream.blocks[5], registry=registry, seed=seed)
        student = evermodel.fuse("m", names, data=stream.blocks[5], fuser="distill", registry=beside, seed=seed)
        models = {
            v: load_version(open_store(registry), open_store(registry).read_card("m", v))
            for v in (*names, fused.challenger)
        }
        models["student"] = load_version(open_store(beside), open_store(beside).read_card("m", student.challenger))
        rows = clean(stream.blocks[6].lazy(), models[fused.challenger].contract, labelled=True).collect()
        best = max(fused.members, key=lambda m: m.score).version
        return {"stream": stream.name, "seed": seed, "way": fused.settings["with"]} | _compared(
            stream, models, rows, best, fused, student
        )


def _compared(stream: Stream, models: dict, rows: Table, best: str, fused, student) -> dict:
    y = models[best].target(rows)
    p = {v: m.predict(rows.frame) for v, m in models.items()}
    against = compare_predictions(stream.metric, PairedPredictions(y, p[best], p[fused.challenger]))
    taught = compare_predictions(stream.metric, PairedPredictions(y, p[best], p["student"]))
    return {
        "best": best,
        "single": 100 * against.champion,
        "fused": 100 * against.challenger,
        "gain": 100 * against.gain,
        "high": 100 * against.gain_high,
        "oracle": 100 * max(_score(stream, y, p[m.version]) for m in fused.members),
        "student": 100 * taught.gain,
        "latency": student.latency[1] / max(fused.latency[1], 1e-12),
        "size": student.size[1] / max(fused.size[1], 1),
    }


def _score(stream: Stream, y: np.ndarray, p: np.ndarray) -> float:

    return float(METRICS.load(stream.metric)(y, p))


def starts(seed: int) -> dict[str, float]:
    """Accuracy on digits of two networks from independent starts, their plain mean, and their aligned mean."""
    from sklearn.datasets import load_digits
    from tune_grid import network

    from evermodel.combining.members import average_weights
    from evermodel.core.model.training import Training
    from evermodel.plugins.fusers._average.alignment import align_layers

    x, y = load_digits(return_X_y=True)
    x, order = (x / 16.0).astype("float32"), np.random.default_rng(seed).permutation(len(y))
    train, test = order[:1200], order[1200:]
    plugin = FRAMEWORKS.load_module("keras")
    told = Training(epochs=30, classes=tuple(range(10)), learning_rate=0.003, batch_size=32, seed=seed)
    two = [
        plugin.fit(network("keras", 100 * seed + k, 1, 0.003), x[train], y[train], told, from_scratch=False)
        for k in (1, 2)
    ]

    def right(obj) -> float:
        return float((plugin.predict(obj, x[test]).argmax(axis=1) == y[test]).mean())

    layers = [plugin.get_dense_layers(o) for o in two]
    means = []
    for other in (layers[1], align_layers(layers[1], layers[0], seed)):
        flat = [[part for layer in ls for part in layer] for ls in (layers[0], other)]
        mean = [w.astype("float32") for w in average_weights(flat, [1, 1])]
        means.append(right(plugin.replace_weights(two[0], mean)))
    return {"one": right(two[0]), "two": right(two[1]), "plain": means[0], "aligned": means[1]}


def bars(runs: list[dict], began: list[dict[str, float]]) -> None:
    worse = [r for r in runs if r["high"] < 0]
    by = {s: np.mean([r["gain"] for r in runs if r["stream"] == s]) for s in dict.fromkeys(r["stream"] for r in runs)}
    better = [s for s, gain in by.items() if gain > 0]
    mean = {k: float(np.mean([b[k] for b in began])) for k in began[0]}
    told = [
        (not worse, f"never worse than the best single beyond noise: {len(worse)} of {len(runs)} runs were"),
        (len(better) >= 3, "better on 3 streams: " + ", ".join(f"{s} {g:+.2f}" for s, g in by.items())),
        (
            mean["aligned"] > mean["plain"] + 0.05,
            f"independent starts: {mean['one']:.3f} and {mean['two']:.3f}; "
            f"plain mean {mean['plain']:.3f}, aligned {mean['align_layers']:.3f}",
        ),
    ]
    for kept, words in told:
        print(f"{'PASS' if kept else 'FAIL'}  {words}")
    student = [np.median([r[k] for r in runs]) for k in ("student", "latency", "size")]
    print(
        f"      students: {student[0]:+.2f} points to the best single, x{student[1]:.2f} the time and "
        f"x{student[2]:.2f} the size of the fused model (medians)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", default=",".join(CHOSEN))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    runs = []
    for name in given.streams.split(","):
        for seed in range(given.seeds):
            r = one(seven(STREAMS[name](), seed), seed)
            runs.append(r)
            print(
                f"{name:<15}{seed}  {r['way']:<7} single {r['single']:6.2f} ({r['best']})  fused {r['fused']:6.2f} "
                f"{r['gain']:+5.2f}  oracle {r['oracle']:6.2f}  student {r['student']:+5.2f}",
                flush=True,
            )
    began = [starts(seed) for seed in range(given.seeds)]
    bars(runs, began)
    if given.out:
        given.out.write_text(json.dumps({"runs": runs, "starts": began}, indent=1))


if __name__ == "__main__":
    main()
