"""The textbook's 27-point grid on digits: what ``tune --with grid`` costs, and ``tune`` to the same score.

    python bench/tune_grid.py [--kinds keras,torch] [--seeds 15] [--first 0] [--textbook 1] [--out FILE.json]

Learning rate x batch size x hidden layers, 3 folds, 10 epochs: 81 trainings, 810 epochs. Both searches are
``evermodel.tune`` on the same adopted network, rows and folds, so that equal points score equally; what counts is how
much was trained until a whole trial reached the grid's best score, and that score less .003. ``--textbook N``: for N
seeds scikit-learn's GridSearchCV over keras.wrappers.SKLearnClassifier runs beside, which builds and traces each
network anew. ``--read FILE.json …`` prints the bars of runs made before. Prints each bar with PASS or FAIL.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path

from evermodel.core.model.framework import FRAMEWORKS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import polars as pl

import evermodel

SPACE = {"learning_rate": [0.001, 0.01, 0.1], "batch_size": [16, 32, 64], "hidden_layers": [1, 2, 3]}
WIDTH, EPOCHS, CLOSE = 32, 10, 0.003
GRID = 3 * EPOCHS * math.prod(len(v) for v in SPACE.values())  # epochs of 27 points; what is deployed costs 30 more


def digits() -> pl.DataFrame:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return pl.DataFrame({f"p{i}": x[:, i] / 16.0 for i in range(64)}).with_columns(digit=pl.Series(y))


def network(kind: str, seed: int, hidden: int = 2, rate: float = 0.001):
    if kind == "keras":
        import keras

        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(WIDTH, "relu") for _ in range(hidden)]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return model
    import torch

    torch.manual_seed(seed)
    sizes = [64, *[WIDTH] * hidden]
    layers = [m for a, b in zip(sizes[:-1], sizes[1:], strict=True) for m in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10)).eval()
    return torch.export.export(model, (torch.zeros(2, 64),), dynamic_shapes=({0: torch.export.Dim("rows")},))


def trained(kind: str, frame: pl.DataFrame, seed: int):
    """A deployed network: three epochs are enough to be better than chance, which adoption asks for."""
    from evermodel.core.model.training import Training

    x, y = frame.drop("digit").to_numpy().astype("float32"), frame["digit"].to_numpy()
    told = Training(epochs=3, classes=tuple(range(10)), seed=seed, learning_rate=0.003)
    return FRAMEWORKS.load_module(kind).fit(network(kind, seed), x, y, told, from_scratch=False)


def searched(kind: str, frame: pl.DataFrame, seed: int) -> dict[str, list]:
    """Both searches' trials on one network, adopted for each: else the other began with the grid's winner."""
    found, deployed = {}, trained(kind, frame, seed)
    for tuner in ("grid", "tpe"):
        with tempfile.TemporaryDirectory() as folder:
            evermodel.adopt(deployed, data=frame, target="digit", name="digits", shuffled=True, registry=folder)
            done = evermodel.tune(
                "digits", space=SPACE, tuner=tuner, trials=10_000, seed=seed, warm=False, registry=folder, refit=False
            )
            found[tuner] = done.trials
    return found


def reached(trials, score: float) -> tuple[int, float]:
    """Epochs and seconds until a whole trial scored so much."""
    epochs, seconds = 0, 0.0
    for t in trials:
        epochs, seconds = epochs + t.epochs, seconds + t.seconds
        if t.state == "whole" and t.score >= score - 1e-12:
            return epochs, seconds
    return -1, float("nan")


def textbook(frame: pl.DataFrame, seed: int) -> float:
    """Seconds of GridSearchCV over the same points, as the textbooks write it."""
    from keras.wrappers import SKLearnClassifier
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    def build(X, y, hidden_layers=2, learning_rate=0.001):
        import keras

        model = network("keras", seed, hidden_layers, learning_rate)
        model.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy")
        return model

    x, y = frame.drop("digit").to_numpy().astype("float32"), frame["digit"].to_numpy()
    wrapped = SKLearnClassifier(build, fit_kwargs={"epochs": EPOCHS, "verbose": 0})
    grid = [
        {
            "model_kwargs": [{"hidden_layers": h, "learning_rate": r}],
            "fit_kwargs": [{"epochs": EPOCHS, "batch_size": b, "verbose": 0}],
        }
        for r in SPACE["learning_rate"]
        for b in SPACE["batch_size"]
        for h in SPACE["hidden_layers"]
    ]
    began = time.monotonic()
    GridSearchCV(wrapped, grid, cv=StratifiedKFold(3, shuffle=True, random_state=seed), refit=False).fit(x, y)
    return time.monotonic() - began


def one(kind: str, frame: pl.DataFrame, seed: int, beside: bool) -> dict:
    found = searched(kind, frame, seed)
    best = max(t.score for t in found["grid"] if t.state == "whole")
    whole = sum(t.epochs for t in found["grid"]), sum(t.seconds for t in found["grid"])
    to_best, to_close = (reached(found["tpe"], score) for score in (best, best - CLOSE))
    run = {"kind": kind, "seed": seed, "best": best, "grid": whole, "to_best": to_best, "to_close": to_close}
    if beside:
        run["textbook_seconds"] = textbook(frame, seed)
    print(
        f"{kind:<6}{seed:>3}  best {best:.4f}  grid {whole[0]} epochs {whole[1]:.0f} s   to best {run['to_best'][0]} "
        f"epochs {run['to_best'][1]:.1f} s   to best - {CLOSE} {run['to_close'][0]}"
        + (f"   GridSearchCV {run['textbook_seconds']:.0f} s" if beside else ""),
        flush=True,
    )
    return run


def bars(kind: str, runs: list[dict]) -> None:
    hit = [r for r in runs if r["to_best"][0] >= 0]
    ratio = float(GRID / np.mean([r["to_best"][0] for r in hit]))
    close = float(GRID / np.mean([r["to_close"][0] for r in hit]))
    wall = float(np.mean([r["grid"][1] * GRID / r["grid"][0] for r in runs]) / np.mean([r["to_best"][1] for r in hit]))
    told = [
        (len(hit) == len(runs), f"all seeds reach the grid's best: {len(hit)} of {len(runs)}"),
        (ratio >= 3, f">= 3x fewer epochs to the grid's best: {ratio:.1f}x (to best - {CLOSE}: {close:.1f}x)"),
    ]
    beside = [r for r in runs if "textbook_seconds" in r]
    if kind == "keras" and beside:
        against = float(np.mean([r["textbook_seconds"] for r in beside]) / np.mean([r["to_best"][1] for r in hit]))
        told.append((against >= 6, f">= 6x in wall time against GridSearchCV: {against:.1f}x"))
    for kept, words in told:
        print(f"{'PASS' if kept else 'FAIL'}  {kind:<6} {words}")
    print(f"      {kind:<6} wall time against our own --with grid (structures cached there too): {wall:.1f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="keras,torch")
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--read", type=Path, nargs="+", help="print the bars of runs made before")
    parser.add_argument("--textbook", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.read:
        runs = [r for file in given.read for r in json.loads(file.read_text())]
        for kind in sorted({r["kind"] for r in runs}):
            bars(kind, [r for r in runs if r["kind"] == kind])
        return
    frame, runs = digits(), []
    for kind in given.kinds.split(","):
        for seed in range(given.first, given.first + given.seeds):
            runs.append(one(kind, frame, seed, kind == "keras" and seed < given.textbook))
            if given.out:
                given.out.write_text(json.dumps(runs, indent=1))
        bars(kind, [r for r in runs if r["kind"] == kind])


if __name__ == "__main__":
    main()
