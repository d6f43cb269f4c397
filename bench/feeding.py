"""Bare networks whose preprocessing is not stated: taken rightly, asked about, or taken WRONGLY in silence.

    PYTHONPATH=src python bench/feeding.py [--seeds 200,201]

Each is trained for 2, 8 or 40 epochs on columns that were scaled, put under logarithms, made normal by powers, or
replaced by products and ratios, and is adopted with its training rows and no word on that. Taken rightly means that it
answers new rows as the deployed system does: within .02 in probability in the mean, or within .05 spreads of the
target. Fails where one is taken wrongly, or where fewer than half of those that were trained to the end on standard,
minmax or unscaled columns are taken.
"""

from __future__ import annotations

import argparse
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

import evermodel as em
from evermodel.core.errors import EvermodelError

Matrix = np.ndarray
NAMES = tuple(f"c{i}" for i in range(6))
EPOCHS = (2, 8, 40)
PLAIN = ("none", "standard", "minmax")
FED = {
    "unit": ("none",),
    "even": ("standard", "minmax", "robust", "products"),
    "skewed": ("standard", "minmax", "log", "robust", "powers", "ratios"),
}
NEAR = {"binary": 0.02, "regression": 0.05, "centred": 0.05}


@dataclass(frozen=True)
class Case:
    seed: int
    task: str
    columns: str
    fed: str
    epochs: int

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(repr(self).encode()))


def list_cases(seeds: list[int]) -> Iterator[Case]:
    for seed in seeds:
        for task in NEAR:
            for columns, kinds in FED.items():
                for fed in kinds:
                    yield from (Case(seed, task, columns, fed, epochs) for epochs in EPOCHS)


def draw_columns(random: np.random.Generator, n: int, kind: str) -> tuple[Matrix, Matrix]:
    """Columns (n, 6) as a table has them, and what the target is made of."""
    z = random.normal(size=(n, 6))
    z[:, 1] = 0.6 * z[:, 0] + 0.8 * z[:, 1]
    a, b, c, d, e, f = z.T
    if kind == "skewed":
        counts = random.poisson(np.exp(0.8 + 0.8 * f))
        return np.c_[
            np.exp(8 + 0.9 * a), np.exp(2 + 1.1 * b), 40 + 12 * c, 100 + 25 * d, np.exp(1 + 0.7 * e), counts
        ], z
    if kind == "even":
        return np.c_[5000 + 1500 * a, 3 + 0.4 * b, 40 + 12 * c, -20 + 25 * d, 0.1 * e, random.integers(0, 10, n)], z
    return z.copy(), z


def draw_target(random: np.random.Generator, z: Matrix, task: str, noise: float) -> Matrix:
    a, b, c, d, e, f = z.T
    score = 1.2 * a - 0.9 * b + 0.7 * np.maximum(c, 0) + 0.6 * d * (e > 0) - 0.5 * f
    if task == "binary":
        return (score + noise * random.logistic(size=len(z)) > 0.3).astype(int)
    score = score + noise * random.normal(size=len(z))
    return score if task == "centred" else 50 + 10 * score


def fit_feeding(kind: str, x: Matrix) -> Callable[[Matrix], Matrix]:
    """What the deployed system does to the columns before the network, fitted to ``x``."""
    if kind == "none":
        return lambda v: v
    if kind == "minmax":
        low, high = x.min(axis=0), x.max(axis=0)
        return lambda v: (v - low) / (high - low)
    if kind == "robust":
        lower, middle, upper = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
        return lambda v: (v - middle) / (upper - lower)
    if kind == "powers":
        from sklearn.preprocessing import PowerTransformer

        return PowerTransformer().fit(x).transform
    skewed = (x.min(axis=0) >= 0) & ((((x - x.mean(axis=0)) / x.std(axis=0)) ** 3).mean(axis=0) > 1)

    def change(v: Matrix) -> Matrix:
        if kind == "log":
            return np.where(skewed, np.log1p(np.abs(v)), v)
        if kind == "products":
            return np.c_[v[:, 0] * v[:, 2], v[:, 1], v[:, 2], v[:, 3] * v[:, 4], v[:, 4], v[:, 5]]
        if kind == "ratios":
            first, fourth = v[:, 0] / (np.abs(v[:, 2]) + 1), v[:, 3] / (np.abs(v[:, 5]) + 1)
            return np.c_[first, v[:, 1], v[:, 2], fourth, v[:, 4], v[:, 5]]
        return v

    mean, spread = change(x).mean(axis=0), change(x).std(axis=0)
    return lambda v: (change(v) - mean) / spread


def build(case: Case):
    """The bare network, its training rows, new rows without the target, and the deployed system's answers to these."""
    import torch
    from torch import nn

    random = case.random
    n, noise = int(random.choice([500, 1000, 2000])), float(random.choice([0.3, 0.6]))
    x, z = draw_columns(random, n, case.columns)
    y, (new, _) = draw_target(random, z, case.task, noise), draw_columns(random, 1500, case.columns)
    feed, rate = fit_feeding(case.fed, x), float(random.choice([1e-3, 3e-3]))
    torch.manual_seed(int(random.integers(10**6)))
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    loss = nn.BCEWithLogitsLoss() if case.task == "binary" else nn.MSELoss()
    inputs, truth = torch.tensor(feed(x)).float(), torch.tensor(y).float()[:, None]
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(case.epochs):
        for rows in torch.randperm(n).split(32):
            optimizer.zero_grad()
            loss(network(inputs[rows]), truth[rows]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        raw = network(torch.tensor(feed(new)).float()).numpy()[:, 0].astype(float)
    answers = 1 / (1 + np.exp(-raw)) if case.task == "binary" else raw
    return network, pl.DataFrame(x, schema=NAMES).with_columns(y=pl.Series(y)), pl.DataFrame(new, schema=NAMES), answers


def try_case(case: Case) -> tuple[str, str]:
    """Whether the network is taken "right", "asked" about or taken "WRONG", and words for it."""
    network, rows, new, expected = build(case)
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = em.open(folder).adopt(network, data=rows, target="y", name="m")
        except EvermodelError as error:
            return "asked", f"{type(error).__name__}: {error}".splitlines()[0][:110]
        found = model.predict(new)
    answers = found["p_1" if case.task == "binary" else "prediction"].to_numpy()
    away = np.abs(answers - expected).mean()
    if case.task != "binary":
        away = np.sqrt(np.mean((answers - expected) ** 2)) / rows["y"].to_numpy().std()
    words = f"{away:.3f} away, {model.adoption.inferences[0].choice}"
    return ("right" if away <= NEAR[case.task] else "WRONG"), words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="200,201")
    counts: Counter[tuple[str, str, int]] = Counter()
    for case in list_cases([int(seed) for seed in parser.parse_args().seeds.split(",")]):
        verdict, words = try_case(case)
        counts[verdict, "plain" if case.fed in PLAIN else "other", case.epochs] += 1
        print(
            f"{verdict:<5} {case.seed} {case.task:<10} {case.columns:<6} {case.fed:<8} {case.epochs:>2}  {words}",
            flush=True,
        )
    for group in ("plain", "other"):
        for epochs in EPOCHS:
            told = "  ".join(f"{verdict} {counts[verdict, group, epochs]}" for verdict in ("right", "asked", "WRONG"))
            print(f"{group} columns, {epochs:>2} epochs: {told}")
    wrong = sum(count for (verdict, _, _), count in counts.items() if verdict == "WRONG")
    taken = counts["right", "plain", 40] >= counts["asked", "plain", 40]
    print("PASS" if not wrong and taken else "FAIL")
    raise SystemExit(bool(wrong) or not taken)


if __name__ == "__main__":
    main()
