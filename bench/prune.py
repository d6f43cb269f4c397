"""Pruned models against what was deployed: speed on one thread, score on rows that nobody has seen; masks beside.

    python bench/prune.py [--only mlp,cnn,lightgbm,torch] [--seeds 1] [--out FILE.json]

Each model is trained on part of a real table, adopted, and pruned by ``evermodel.prune`` with a second part as its new
rows; a third part scores both. Speed: one thread, batches of 1,024 rows through the framework's own predict, the two
models taking turns, the tenth percentile of the CPU times. ``torch`` holds ``channels`` against torch-pruning
(pip install torch-pruning) on the same network, the same ratio, and the same recovery. Prints each bar with PASS or
FAIL.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path

from evermodel.core.stats.metric import METRICS

os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import polars as pl
from stream_data import electricity, gas_sensor, read

import evermodel
from evermodel.core.data.cleaning import clean
from evermodel.core.data.image_decoding import decode_images
from evermodel.core.model.strategy import PRUNERS, Context, Split
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

BATCH, REPEATS = 1024, 40


def thirds(frame: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Six tenths to train, two to prune with, two to score on, at random."""
    place = np.random.default_rng(seed).random(frame.height)
    return frame.filter(place < 0.6), frame.filter((place >= 0.6) & (place < 0.8)), frame.filter(place >= 0.8)


def p10(calls: list, repeats: int = REPEATS) -> list[float]:
    """The tenth percentile of CPU seconds of each call, taking turns; the first three rounds warm up."""
    taken: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 3):
        for seconds, call in zip(taken, calls, strict=True):
            began = time.process_time()
            call()
            if turn >= 3:
                seconds.append(time.process_time() - began)
    return [float(np.percentile(s, 10)) for s in taken]


def pruned(name: str, file: Path, parts, target: str, metric: str, folder: Path, adopting: dict, asked: dict) -> dict:
    """Adopts, prunes, scores on the third part, times; and a mask of the same channels beside where there are any."""
    registry = folder / "registry"
    evermodel.adopt(file, data=parts[0], target=target, name="m", registry=registry, **adopting)
    began = time.monotonic()
    done = evermodel.prune("m", parts[1], registry=registry, metric=metric, **asked)
    seconds = time.monotonic() - began
    store = open_store(registry)
    old, new = (load_version(store, store.read_card("m", v)) for v in (done.champion, done.challenger))
    rows = clean(parts[2].lazy(), old.contract, labelled=True).collect()
    score, y = METRICS.load(metric), old.target(rows)
    models = [old, new]
    known = clean(pl.concat(parts[:2]).lazy(), old.contract, labelled=True).collect()
    if hasattr(old.framework, "masked"):
        from evermodel.plugins.pruners.channels import l2, least

        gone = least(old.framework.find_channel_groups(old.obj), done.ratio, l2)
        models.append(dataclasses.replace(old, obj=old.framework.mask_channels(old.obj, gone)))
        models.append(Context().run_plugin(PRUNERS, "channels", [old], Split(known), ratio=0.0, teaching="labels"))
    scores = [100 * float(score(y, m.predict(rows.frame))) for m in models]
    x = old.transform(rows.frame[:BATCH])
    times = p10([lambda m=m: m.framework.predict(m.obj, x) for m in models])
    return {
        "name": name,
        "ratio": done.ratio,
        "decision": done.decision,
        "before": scores[0],
        "after": scores[1],
        "lost": scores[0] - scores[1],
        "faster": times[0] / times[1],
        "ms": [1e3 * t for t in times],
        "size": done.size[1] / done.size[0],
        "seconds": seconds,
        "rows": len(rows),
        "batch": len(x),
        "masked": {"faster": times[0] / times[2], "lost": scores[0] - scores[2]} if len(models) > 2 else None,
        "whole_trained_further": scores[3] if len(models) > 3 else None,
    }


def mlp(seed: int, folder: Path) -> dict:
    """(1024, 1024) on gas sensors, all months shuffled."""
    import keras

    keras.utils.set_random_seed(seed)
    stream = gas_sensor()
    parts = thirds(pl.concat(stream.blocks), seed)
    x = parts[0].drop("gas").to_numpy().astype("float64")
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    known, codes = np.unique(parts[0]["gas"].to_numpy(), return_inverse=True)
    wide = [keras.layers.Dense(1024, "relu"), keras.layers.Dense(1024, "relu")]
    model = keras.Sequential([keras.Input((x.shape[1],)), *wide, keras.layers.Dense(len(known), "softmax")])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit((x - mean) / deviation, codes, batch_size=64, epochs=8, verbose=0)
    model.save(folder / "model.keras")
    return pruned(
        "mlp", folder / "model.keras", parts, "gas", "accuracy", folder, {"shuffled": True}, {"keep_metric": 0.01}
    )


def cnn_model(classes: int):
    """A residual network of about a million parameters for pictures of 32 x 32."""
    import keras
    from keras import layers

    def block(x, filters: int, strides: int):
        short = x
        if strides > 1 or x.shape[-1] != filters:
            short = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides, use_bias=False)(x))
        h = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
        h = layers.ReLU()(layers.BatchNormalization()(h))
        h = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(h))
        return layers.ReLU()(layers.Add()([short, h]))

    source = keras.Input((32, 32, 3))
    h = layers.Conv2D(40, 3, 2, padding="same", use_bias=False)(source)
    h = layers.ReLU()(layers.BatchNormalization()(h))
    for filters, strides in ((40, 1), (40, 1), (80, 2), (80, 1), (160, 2), (160, 1)):
        h = block(h, filters, strides)
    out = layers.Dense(classes, "softmax")(layers.GlobalAveragePooling2D()(h))
    model = keras.Model(source, out)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    return model


def signs() -> pl.DataFrame:
    frame = read("traffic_signs_gtsrb").filter("in_core")
    return frame.select("png", "track", pl.format("sign {}", "sign_class").alias("sign_class"))


def cnn(seed: int, folder: Path) -> dict:
    """Pictures are split at random: two tracks a class are too few to keep whole ones for each part."""
    import keras

    keras.utils.set_random_seed(seed)
    parts = thirds(signs(), seed)
    x = decode_images(parts[0]["png"], (32, 32, 3)).astype("float32") / 255.0
    known, codes = np.unique(parts[0]["sign_class"].to_numpy(), return_inverse=True)
    model = cnn_model(len(known))
    model.fit(x, codes, batch_size=64, epochs=10, verbose=0)
    print(f"      cnn: {model.count_params():,} parameters, {len(x):,} pictures", flush=True)
    model.save(folder / "model.keras")
    told = {"shuffled": True, "drop": ("track",)}
    asked = {"ratio": 0.5, "pruner": "channels", "keep_metric": 0.01}
    return pruned("cnn", folder / "model.keras", parts, "sign_class", "accuracy", folder, told, asked)


def lightgbm(seed: int, folder: Path) -> dict:
    """1,000 trees on electricity; the newest rows prune and score."""
    import lightgbm as lgb

    frame = pl.concat(electricity().blocks)
    a, b = round(0.6 * frame.height), round(0.8 * frame.height)
    parts = (frame[:a], frame[a:b], frame[b:])
    inputs = [c for c in frame.columns if c not in ("price_up", "timestamp")]
    told = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "seed": seed,
        "verbose": -1,
        "num_threads": 1,
    }
    x = parts[0].select(pl.col(inputs).cast(pl.Float64)).to_numpy()
    lgb.train(told, lgb.Dataset(x, parts[0]["price_up"].to_numpy()), 1000).save_model(folder / "model.txt")
    return pruned(
        "lightgbm",
        folder / "model.txt",
        parts,
        "price_up",
        "auc",
        folder,
        {"time": "timestamp"},
        {"keep_metric": 0.005},
    )


def torch_model(classes: int):
    import torch
    from torch import nn

    class Block(nn.Module):
        """Two convolutions and what they are added to."""

        def __init__(self, old: int, new: int, stride: int) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(old, new, 3, stride, 1, bias=False), nn.Conv2d(new, new, 3, 1, 1, bias=False)
            self.first, self.second = nn.BatchNorm2d(new), nn.BatchNorm2d(new)
            self.short = nn.Sequential(nn.Conv2d(old, new, 1, stride, bias=False), nn.BatchNorm2d(new))

        def forward(self, x):
            h = torch.relu(self.first(self.one(x)))
            return torch.relu(self.short(x) + self.second(self.two(h)))

    body = [nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), Block(32, 64, 2), Block(64, 128, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def against_torch_pruning(seed: int, folder: Path) -> dict:
    """The same trained network, half of its channels gone by each, the same recovery; which is faster and better?"""
    import copy

    import torch
    import torch_pruning

    from evermodel.core.model.training import Training
    from evermodel.plugins.frameworks import torch as plugin
    from evermodel.plugins.frameworks._torch.fold_batchnorm import fold_batchnorm
    from evermodel.plugins.frameworks._torch.program import run
    from evermodel.plugins.pruners.channels import l2, least

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    parts = thirds(signs(), seed)
    x = [decode_images(p["png"], (32, 32, 3)).astype("float32") / 255.0 for p in parts]
    known = np.unique(parts[0]["sign_class"].to_numpy())
    y = [np.searchsorted(known, p["sign_class"].to_numpy()) for p in parts]
    module = torch_model(len(known))
    train(module, x[0], y[0], 10)
    module.eval()
    example = module.example_input_array = torch.zeros(2, 3, 32, 32)
    theirs = copy.deepcopy(module)
    torch_pruning.pruner.MetaPruner(
        theirs,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.5,
        round_to=8,
        ignored_layers=[theirs[-1]],
    ).step()
    program = plugin.convert_object(module)
    ours = plugin.remove_channels(program, least(plugin.find_channel_groups(program), 0.5, l2))
    told = Training(epochs=6, decay=True, seed=seed, classes=tuple(range(len(known))), batch_size=64)
    made = [plugin.fit(p, x[0], y[0], told, from_scratch=False) for p in (ours, plugin.convert_object(theirs.eval()))]
    right = [100 * float((plugin.predict(p, x[2]).argmax(axis=1) == y[2]).mean()) for p in (program, *made)]
    batch = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x[2][:BATCH], -1, 1)))

    def call(p, fold=False):  # from one ready tensor to answers; ours folds its normalisation first, as predict does
        with torch.no_grad():
            run(*(fold_batchnorm(p.graph, p.tensors) if fold else (p.graph, p.tensors)), batch)

    served = [lambda: call(program), lambda: call(made[0], fold=True), lambda: call(made[1])]
    times = p10(served, 5 * REPEATS)  # where torch's big buffers lie moves each call by a tenth, for dozens of calls
    sizes = [sum(v.numel() for v in p.tensors.values()) for p in (program, *made)]
    return {"name": "torch", "scores": right, "ms": [1e3 * t for t in times], "parameters": sizes, "rows": len(x[2])}


def train(module, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Adam and batches of 64, as anybody would."""
    import torch

    optimizer = torch.optim.Adam(module.parameters(), 1e-3)
    pictures, codes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))), torch.from_numpy(y)
    for _ in range(epochs):
        for at in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(pictures[at]), codes[at]).backward()
            optimizer.step()


def show_torch(r: dict) -> None:
    ms, scores, sizes = r["ms"], r["scores"], r["parameters"]
    noise = 100 * 1.96 * np.sqrt(0.01 / r["rows"])  # a hundredth of the rows told differently
    kept = ms[1] <= ms[2] and scores[1] >= scores[2] - noise
    print(
        f"{'PASS' if kept else 'FAIL'}  torch, half of the channels: {ms[0] / ms[1]:.2f}x faster at "
        f"{scores[1] - scores[0]:+.2f} points ({sizes[1]:,} numbers); torch-pruning {ms[0] / ms[2]:.2f}x at "
        f"{scores[2] - scores[0]:+.2f} ({sizes[2]:,}); {scores[0]:.2f} before, {sizes[0]:,}; noise {noise:.2f}",
        flush=True,
    )


BARS = {"mlp": (2.0, 1.0), "cnn": (2.0, 1.0), "lightgbm": (5.0, 0.5)}
RUNS = {"mlp": mlp, "cnn": cnn, "lightgbm": lightgbm, "torch": against_torch_pruning}


def show(r: dict) -> None:
    faster, points = BARS[r["name"]]
    ms, scores = r["ms"], (r["before"], r["after"])
    kept = r["faster"] >= faster and r["lost"] <= points
    print(
        f"{'PASS' if kept else 'FAIL'}  {r['name']}: {r['faster']:.2f}x faster (bar {faster:g}x; {ms[0]:.2f} -> "
        f"{ms[1]:.2f} ms for {r['batch']} rows), {r['lost']:+.2f} points lost (bar {points:g}; {scores[0]:.2f} -> "
        f"{scores[1]:.2f} on {r['rows']} rows); ratio {r['ratio']:g}, size x{r['size']:.2f}, {r['decision']}, "
        f"{r['seconds']:.0f} s",
        flush=True,
    )
    if r["masked"]:
        print(
            f"      masks of the same channels, as they are: {r['masked']['faster']:.2f}x, "
            f"{r['masked']['lost']:+.2f} points lost before any recovery; the whole network, "
            f"trained further as long: {r['whole_trained_further']:.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(RUNS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = []
    for name in given.only.split(","):
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(RUNS[name](seed, Path(folder)))
            (show_torch if name == "torch" else show)(found[-1])
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
