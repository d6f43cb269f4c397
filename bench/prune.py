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
import json
import os
import tempfile
import time
from pathlib import Path

for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow",
                    "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}.items():  # fmt: skip
    os.environ.setdefault(name, value)

import numpy as np
import polars as pl
from stream_data import electricity, gas_sensor, read

import evermodel
from evermodel.core import plugs
from evermodel.core.cleaning import clean
from evermodel.core.image import decode_images
from evermodel.loop.home import open_home
from evermodel.loop.versions import load_version

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
    home = folder / "home"
    evermodel.adopt(file, data=parts[0], target=target, name="m", home=home, **adopting)
    began = time.monotonic()
    done = evermodel.prune("m", parts[1], home=home, metric=metric, **asked)
    seconds = time.monotonic() - began
    store = open_home(home)
    old, new = (load_version(store, store.card("m", v)) for v in (done.champion, done.challenger))
    rows = clean(parts[2].lazy(), old.contract, labelled=True).collect()
    score, y = plugs.function("metrics", metric), old.target(rows)
    models = [old, new]
    if hasattr(old.framework, "masked"):
        from evermodel.pruners.channels import l2, least

        gone = least(old.framework.groups(old.obj), done.ratio, l2)
        models.append(
            type(old)(old.contract, old.transform, old.framework.masked(old.obj, gone), old.framework, old.output)
        )
    scores = [100 * float(score(y, m.predict(rows.frame))) for m in models]
    x = old.transform(rows.frame[:BATCH])
    times = p10([lambda m=m: m.framework.predict(m.obj, x) for m in models])
    return {
        "name": name, "ratio": done.ratio, "decision": done.decision, "before": scores[0], "after": scores[1],
        "lost": scores[0] - scores[1], "faster": times[0] / times[1], "ms": [1e3 * t for t in times],
        "size": done.size[1] / done.size[0], "seconds": seconds, "rows": len(rows), "batch": len(x),
        "masked": {"faster": times[0] / times[2], "lost": scores[0] - scores[2]} if len(models) > 2 else None,
    }  # fmt: skip


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
    return pruned("mlp", folder / "model.keras", parts, "gas", "accuracy", folder, {"shuffled": True},
                  {"keep_metric": 0.01})  # fmt: skip


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
    return pruned("cnn", folder / "model.keras", parts, "sign_class", "accuracy", folder,
                  {"shuffled": True, "drop": ("track",)}, {"ratio": 0.4, "with_": "channels", "keep_metric": 0.01})  # fmt: skip


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
    return pruned("lightgbm", folder / "model.txt", parts, "price_up", "auc", folder, {"time": "timestamp"},
                  {"keep_metric": 0.005})  # fmt: skip


BARS = {"mlp": (2.0, 1.0), "cnn": (2.0, 1.0), "lightgbm": (5.0, 0.5)}
RUNS = {"mlp": mlp, "cnn": cnn, "lightgbm": lightgbm}


def show(r: dict) -> None:
    faster, points = BARS[r["name"]]
    kept = r["faster"] >= faster and r["lost"] <= points
    print(
        f"{'PASS' if kept else 'FAIL'}  {r['name']}: {r['faster']:.2f}x faster (bar {faster:g}x; {r['ms'][0]:.2f} -> "
        f"{r['ms'][1]:.2f} ms for {r['batch']} rows), {r['lost']:+.2f} points lost (bar {points:g}; {r['before']:.2f} -> "
        f"{r['after']:.2f} on {r['rows']} rows); ratio {r['ratio']:g}, size x{r['size']:.2f}, {r['decision']}, "
        f"{r['seconds']:.0f} s",
        flush=True,
    )
    if r["masked"]:
        print(f"      masks of the same channels, as they are: {r['masked']['faster']:.2f}x, "
              f"{r['masked']['lost']:+.2f} points lost before any recovery", flush=True)  # fmt: skip


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
            show(found[-1])
    if given.out:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
