"""Does `explain` name a planted cause first, do its parts sum, and how long does it take?

Each case has a sound old model and a new one with one planted fault: a column that reaches it three times too large, a
segment whose labels were flipped in its training rows, or a column that was lost (constant) in its training. The cause
is found where the column has the largest contribution, or where most rows of the first segment that lost were flipped.

    python bench/explain.py [--cases 200] [--rows 100000] [--first 0]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import evermodel as em
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.model.training import Training
from evermodel.explaining.contributions import compute_contributions
from evermodel.explaining.score_change import measure_losses
from evermodel.explaining.segments import find_segments
from evermodel.registry.lookup import open_store
from evermodel.registry.prediction import clean_rows
from evermodel.registry.versions import load_version

NUMBERS = ("age", "income", "balance", "visits", "tenure")
PLANS = ("basic", "plus", "pro")
CAUSES = {  # and the kinds of model: one that is linear cannot learn the labels of a segment
    "column scaled": ("lightgbm", "logistic"),
    "segment flipped": ("lightgbm", "forest"),
    "column lost": ("lightgbm", "logistic"),
}
TRAINED, EXPLAINED = 4_000, 4_000
FOUND, LARGEST_ERROR, SECONDS = 0.95, 1e-6, 10.0  # the bars


def draw_rows(n: int, random: np.random.Generator, weights: np.ndarray) -> pl.DataFrame:
    """Rows with five numbers and a category; the label depends on all of them, two by their product."""
    x, plan = random.normal(size=(n, 5)), random.integers(0, 3, n)
    z = x @ weights[:5] + weights[5] * (plan - 1) + 0.5 * x[:, 0] * x[:, 1]
    y = (random.random(n) < 1.0 / (1.0 + np.exp(-z))).astype(np.int64)
    numbers = {name: x[:, i] for i, name in enumerate(NUMBERS)}
    return pl.DataFrame({**numbers, "plan": np.array(PLANS)[plan], "y": y})


def adopt_model(kind: str, frame: pl.DataFrame, folder: Path) -> Model:
    """A plain model on codes of the category, adopted from its file, as Evermodel loads it."""
    codes = pl.Series([PLANS.index(v) for v in frame["plan"]])
    x, y = np.column_stack([frame.select(NUMBERS).to_numpy(), codes]).astype(float), frame["y"].to_numpy()
    if kind == "lightgbm":
        file, settings = folder / "old.txt", {"objective": "binary", "verbose": -1, "num_leaves": 15, "num_threads": 1}
        lightgbm.train(settings, lightgbm.Dataset(x, y), 80).save_model(file)
    else:
        file = folder / "old.skops"
        forest = RandomForestClassifier(60, min_samples_leaf=10, random_state=0)
        skops.io.dump((forest if kind == "forest" else LogisticRegression(max_iter=500)).fit(x, y), file)
    em.adopt(file, data=frame, target="y", name="m", registry=folder / "registry")
    store = open_store(folder / "registry")
    return load_version(store, store.read_card("m", "v1"))


def plant_fault(cause: str, old: Model, rows: Table, random: np.random.Generator) -> tuple[Model, str, pl.Expr]:
    """The new model, the column to be named, and which rows were flipped."""
    column, plan = NUMBERS[random.integers(5)], str(random.choice(PLANS))
    flipped = (pl.col("plan") == plan) & (pl.col(column) > float(random.uniform(-0.5, 0.5)))
    if cause == "column scaled":
        features = tuple(
            dataclasses.replace(f, scale=f.scale / 3.0) if f.column == column else f for f in old.transform.features
        )
        return (
            dataclasses.replace(old, transform=dataclasses.replace(old.transform, features=features)),
            column,
            flipped,
        )
    frame = rows.frame.with_columns(pl.lit(0.0).alias(column))
    if cause == "segment flipped":
        frame = rows.frame.with_columns(pl.when(flipped).then(1 - pl.col("y")).otherwise(pl.col("y")).alias("y"))
    return old.fit(Table(frame, rows.roles), Training(seed=0), from_scratch=True), column, flipped


def run_case(cause: str, kind: str, seed: int) -> tuple[bool, float, float]:
    """Whether the cause was named first, how far the contributions are from their sum, and seconds."""
    random = np.random.default_rng(seed)
    weights = random.choice([-1.0, 1.0], 6) * random.uniform(0.6, 1.5, 6)
    with tempfile.TemporaryDirectory() as folder:
        old = adopt_model(kind, draw_rows(TRAINED, random, weights), Path(folder))
        trained, now = (
            clean_rows(old, draw_rows(n, random, weights), (), labelled=True).collect() for n in (TRAINED, EXPLAINED)
        )
        sound = old.fit(trained, Training(seed=0), from_scratch=True)  # so that only the fault differs
        new, column, flipped = plant_fault(cause, sound, trained, random)
        began = time.monotonic()
        inputs = now.frame.select([c.name for c in old.contract.columns])
        contributions, _, _ = compute_contributions(sound, new, inputs, trained.frame, seed)
        named = contributions.columns[0].column == column
        if cause == "segment flipped":
            gain = measure_losses(sound, now) - measure_losses(new, now)
            lost = [s for s in find_segments(inputs, gain, None, seed) if s.gain < s.elsewhere]
            hit = lost[0].select(now.frame) if lost else np.zeros(len(now), bool)
            truth = now.frame.select(flipped.alias("flipped"))["flipped"].to_numpy()
            named = bool(hit.any()) and float((hit & truth).sum() / hit.sum()) > 0.5
        return named, contributions.largest_error, time.monotonic() - began


def time_command(n: int) -> float:
    """Seconds of `explain` on ``n`` rows of two LightGBM versions, from the open registry to the explanation."""
    random = np.random.default_rng(0)
    weights = random.choice([-1.0, 1.0], 6) * random.uniform(0.6, 1.5, 6)
    with tempfile.TemporaryDirectory() as folder:
        adopt_model("lightgbm", draw_rows(TRAINED, random, weights), Path(folder))
        m = em.open(Path(folder) / "registry")["m"]
        m.update(draw_rows(TRAINED, random, -weights), strategy="refit")
        rows = draw_rows(n, random, -weights)
        began = time.monotonic()
        explanation = m.explain("v1", "v2", rows)
        seconds = time.monotonic() - began
        print(explanation)
        return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    os.environ.setdefault("EVERMODEL_SANDBOX", "off")  # the bench's own files
    found: dict[tuple[str, str], list[bool]] = {(c, k): [] for c, kinds in CAUSES.items() for k in kinds}
    errors, seconds = [], []
    for case in range(options.cases):
        cause = list(CAUSES)[case % 3]
        kind = CAUSES[cause][case // 3 % 2]
        named, error, spent = run_case(cause, kind, options.first + case)
        found[cause, kind].append(named)
        errors.append(error)
        seconds.append(spent)
    for (cause, kind), hits in found.items():
        print(f"{cause:<16} {kind:<9} named first in {sum(hits):>3} of {len(hits)}")
    share = sum(map(sum, found.values())) / options.cases
    took = time_command(options.rows)
    print(f"named first: {share:.1%} of {options.cases}; largest departure from the sum: {max(errors):.1e}")
    print(f"a case takes {np.median(seconds):.2f} s in the median; {options.rows:,} rows take {took:.1f} s")
    passed = share >= FOUND and max(errors) <= LARGEST_ERROR and took <= SECONDS
    print("PASS" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
