"""A bare network whose scaler is lost and whose training rows nobody kept: what finding its input is worth.

    PYTHONPATH=src python bench/bare_network.py [--seeds 2]

The network was trained with a scaler on the first block. Then only new blocks come. Three ways to feed it: the true
scaler (not to be had, the bar), the scaling found on the first new rows, and that with a scale and a shift a column
learnt before the frozen network. Each then trains on, block by block (five epochs, all of the new rows), and is scored
on the NEXT block. Prints points below the true scaler; the learnt way must not be below the found one by 0.1.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from stream_data import STREAMS, Stream, equal_blocks
from stream_models import deploy
from streams import score

from evermodel.core.data.cleaning import clean
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.records.column_roles import Roles
from evermodel.registry.adoption.adopt import fit_contract, understand_model
from evermodel.registry.adoption.model_file import open_model
from evermodel.registry.adoption.options import AdoptionOptions
from evermodel.registry.adoption.readings.learned_scaling import learn_scaling

BLOCKS = 4


def still(name: str) -> Stream:
    """A table of scikit-learn in blocks: nothing moves but what the sample does."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame(found.data, schema=[f"c{i}" for i in range(found.data.shape[1])])
    frame = frame.with_columns(y=pl.Series(found.target)).sample(fraction=1.0, shuffle=True, seed=0)
    task = "binary" if len(set(found.target)) == 2 else "multiclass"
    return Stream(name, equal_blocks(frame, 0.3, BLOCKS), "y", "accuracy", task, {"shuffled": True})


def ways(stream: Stream, seed: int) -> dict[str, Model]:
    """The network fed by the true scaler, as found on the oldest new rows, and as learnt there."""
    with tempfile.TemporaryDirectory() as folder:
        obj, framework, _ = open_model(deploy(stream, "keras", seed, Path(folder)))
    roles = Roles(stream.target, stream.adopting.get("time"))
    task = str(stream.adopting.get("task", "auto"))
    options = AdoptionOptions(roles, task)
    bare, cleaned, _, _ = fit_contract(obj, framework, stream.blocks[0], options)
    first, newer = (clean(b.lazy(), cleaned.contract, labelled=True).collect() for b in stream.blocks[:2])
    true, found = (understand_model(bare, rows, options).model for rows in (first, newer))
    return {"true": true, "found": found, "learnt": learn_scaling(found, newer, seed=seed)[0]}


def trained_on(model: Model, rows: Table, seed: int) -> Model:
    return Context(seed).run_strategy("resume", [model], Split(rows, None), epochs=5)


def run(stream: Stream, seed: int) -> dict[str, list[float]]:
    models, scores = ways(stream, seed), {way: [] for way in ("true", "found", "learnt", "found, not trained")}
    still_found = models["found"]
    for block, following in zip(stream.blocks[1 : BLOCKS + 1], stream.blocks[2 : BLOCKS + 2], strict=False):
        for way in models:
            rows = clean(block.lazy(), models[way].contract, labelled=True).collect()
            models[way] = trained_on(models[way], dataclasses.replace(rows, blocks=None), seed)
            scores[way].append(score(stream, models[way], following))
        scores["found, not trained"].append(score(stream, still_found, following))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--streams", default="electricity,bank_marketing,gas_sensor,heart_disease,breast_cancer,digits")
    given = parser.parse_args()
    below: dict[str, list[float]] = {}
    for name in given.streams.split(","):
        stream = STREAMS[name]() if name in STREAMS else still(name)
        for seed in range(given.seeds):
            began = time.perf_counter()
            means = {way: float(np.mean(values)) for way, values in run(stream, seed).items()}
            gaps = {way: value - means["true"] for way, value in means.items() if way != "true"}
            for way, gap in gaps.items():
                below.setdefault(way, []).append(gap)
            told = "  ".join(f"{way} {gap:+.2f}" for way, gap in gaps.items())
            print(
                f"{name:<16} seed {seed}  true {means['true']:.2f}  {told}  {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    told = {way: float(np.mean(values)) for way, values in below.items()}
    print("mean", "  ".join(f"{way} {value:+.2f}" for way, value in told.items()))
    passed = told["learnt"] >= told["found"] - 0.1
    print("PASS" if passed else "FAIL")
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
