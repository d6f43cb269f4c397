"""Accuracy without labels: ours, NannyML's CBPE, and "as at adoption" against the truth; intervals with few labels.

    $ PYTHONPATH=src python bench/watch_labelfree.py

Four real streams, LightGBM trained on the oldest 20 %, the next 10 % labelled (what the monitor learns from), the rest
in blocks of 1,000 rows without labels. Ours is core/stats/accuracy_estimate.py, as ``watch`` calls it.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import peers
import polars as pl
from stream_data import read

from evermodel.core.stats.accuracy_estimate import estimate_from_history, estimate_from_predictors, sum_confidences
from evermodel.core.stats.distributions import wilson_interval
from evermodel.core.stats.label_sampling import draw_rows, estimate_share, inclusion_probabilities
from evermodel.monitoring.label_suggestions import calibrate_confidence

BLOCK = 1_000
failed: list[str] = []
CBPE = """
import sys, warnings; warnings.filterwarnings("ignore")
import pandas as pd, nannyml as nml
ref, cur = (pd.read_parquet(f) for f in sys.argv[1:3])
e = nml.CBPE(problem_type="classification_binary", y_pred_proba="score", y_pred="pred", y_true="y", chunk_size=1000,
             metrics=["accuracy"]).fit(ref)
print(" ".join(str(v) for v in e.estimate(cur).filter(period="analysis").to_df()[("accuracy", "value")]))
"""


def streams() -> dict[str, tuple[pl.DataFrame, str]]:
    bike = read("bike_sharing_hourly").drop("rentals_casual", "rentals_registered", "year_index")
    busy = (bike["rentals"] > bike["rentals"][:5000].median()).cast(pl.Int64)
    films = read("movielens_small").sort("rated_at")
    liked = (films["rating"] >= 4).cast(pl.Int64)
    return {
        "electricity": (read("electricity"), "price_up"),
        "bank_marketing": (read("bank_marketing").drop("call_duration_s", "row_order", "year"), "subscribed"),
        "bike_sharing (busy or not)": (bike.with_columns(rentals=busy), "rentals"),
        "movielens (liked or not)": (films.with_columns(rating=liked), "rating"),
    }


def predicted(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """y, score and pred of every row after the oldest fifth."""
    import lightgbm

    texts = [c for c in frame.columns if frame[c].dtype == pl.String and c != target]
    frame = frame.with_columns(pl.col(c).cast(pl.Categorical).to_physical() for c in texts)
    inputs = [c for c in frame.columns if frame[c].dtype.is_numeric() and c != target]
    x, y = frame.select(inputs).to_numpy().astype(float), frame[target].to_numpy().astype(int)
    n = frame.height // 5
    settings = {"objective": "binary", "verbose": -1, "num_threads": 2, "num_leaves": 15}
    p = lightgbm.train(settings, lightgbm.Dataset(x[:n], y[:n]), 60).predict(x[n:])
    return pl.DataFrame({"y": y[n:], "score": p, "pred": (p > 0.5).astype(int)})


def say(what: str, value: float, bar: str = "", passed: bool | None = None, note: str = "") -> None:
    passed = None if passed is None else bool(passed)
    if passed is False:
        failed.append(what)
    verdict = {True: "PASS", False: "FAIL", None: "    "}[passed]
    print(f"{verdict}  {what:<62}{value:>9.4f}  {bar:<12}{note}", flush=True)


def sums(rows: pl.DataFrame):
    right = (rows["y"] == rows["pred"]).to_numpy()
    sure = np.where(rows["pred"] == 1, rows["score"], 1 - rows["score"])
    return sum_confidences(right, sure)


def without_labels(name: str, rows: pl.DataFrame, with_peers: bool) -> None:
    known, rest = rows[: rows.height // 8], rows[rows.height // 8 :]
    rest = rest[: rest.height // BLOCK * BLOCK]
    truth = (rest["y"] == rest["pred"]).to_numpy().reshape(-1, BLOCK).mean(axis=1)
    blocks = [rest[a : a + BLOCK] for a in range(0, rest.height, BLOCK)]
    history = {n: [sums(known[a : a + n]) for a in range(0, known.height, n)] for n in (BLOCK, 250)}
    of_blocks = [sums(b) for b in blocks]

    def error(guesses: list) -> float:
        return float(np.abs(np.array([g[0].value for g in guesses]) - truth).mean())

    adopted = float((known["y"] == known["pred"]).mean())
    errors = {
        "as at adoption": np.abs(adopted - truth).mean(),
        "ours": error([estimate_from_history(b, history[BLOCK]) for b in of_blocks]),
        "ours, windows of 250 rows": error([estimate_from_history(b, history[250]) for b in of_blocks]),
        "ours, labels 5 blocks late": error(
            [estimate_from_history(b, history[BLOCK] + of_blocks[: max(0, i - 5)]) for i, b in enumerate(of_blocks)]
        ),
    }
    if with_peers:
        at = [peers.OUT / f"labelfree_{part}.parquet" for part in ("ref", "cur")]
        known.write_parquet(at[0])
        rest.write_parquet(at[1])
        cbpe = np.array([float(v) for v in peers.run("nannyml", CBPE, *map(str, at)).splitlines()[-1].split()])
        errors["NannyML CBPE"] = np.abs(cbpe[: len(truth)] - truth).mean()
    for what in ("as at adoption", "NannyML CBPE"):
        if what in errors:
            say(f"{name}: {what}, mean absolute error", errors[what])
    for what in [w for w in errors if w.startswith("ours")]:
        good = errors[what] <= errors["as at adoption"]
        say(f"{name}: {what}, mean absolute error", errors[what], "<= adoption", good)


def two_models(frame: pl.DataFrame, target: str) -> pl.DataFrame:
    """Up to 20,000 rows after the oldest two fifths: y, the deployed model's score and pred, the challenger's score.

    The deployed model was trained on the oldest fifth, the challenger on the oldest two.
    """
    import lightgbm

    texts = [c for c in frame.columns if frame[c].dtype == pl.String and c != target]
    frame = frame.with_columns(pl.col(c).cast(pl.Categorical).to_physical() for c in texts)
    inputs = [c for c in frame.columns if frame[c].dtype.is_numeric() and c != target]
    x, y, n = frame.select(inputs).to_numpy().astype(float), frame[target].to_numpy().astype(int), frame.height // 5
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 15}
    p, q = (lightgbm.train(settings, lightgbm.Dataset(x[:k], y[:k]), 60).predict(x[2 * n :]) for k in (n, 2 * n))
    made = pl.DataFrame({"y": y[2 * n :], "score": p, "pred": (p > 0.5).astype(int), "second": q})
    return made[:20_000]


def with_few(name: str, rows: pl.DataFrame, runs: int) -> None:
    """1 % of the rows labelled: do the intervals hold the truth, and how wide are they, against random rows alone?"""
    right = (rows["y"] == rows["pred"]).to_numpy().astype(float)
    own, second = (np.where(rows["pred"] == 1, rows[c], 1 - rows[c]) for c in ("score", "second"))
    truth, n, k = right.mean(), len(right), len(right) // 100
    rng, held, width = np.random.default_rng(0), {}, {}
    blind = inclusion_probabilities(np.sqrt(own * (1 - own)), k)
    for run in range(runs):
        at = rng.choice(n, k, replace=False)
        known = sum_confidences(right[at], own[at])
        believed = calibrate_confidence(own, known)
        asked = inclusion_probabilities(np.sqrt(believed * (1 - believed)), k)
        drawn, untaught = draw_rows(asked, run), draw_rows(blind, run)
        both = np.column_stack([own, second])
        one, two = (estimate_from_predictors(right[at], t[at], t) for t in (own[:, None], both))
        found = {
            "random rows alone": wilson_interval(right[at].sum(), k),
            "with the model's own confidence": (one.low, one.high),
            "with a second model": (two.low, two.high),
            "suggested, confidence as it is": estimate_share(right[untaught], blind[untaught], n)[1:],
            "suggested, confidence as it foretold before": estimate_share(right[drawn], asked[drawn], n)[1:],
        }
        for what, (low, high) in found.items():
            held[what] = held.get(what, 0) + (low <= truth <= high)
            width[what] = width.get(what, 0.0) + high - low
    for what in held:
        inside = held[what] / runs
        note = f"width {width[what] / width['random rows alone']:.3f} of random rows alone"
        say(f"{name}, {k} labels, {what}: holds the truth", inside, ">= .936", inside >= 0.936, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--runs", type=int, default=1_000)
    asked = parser.parse_args()
    for name, (frame, target) in streams().items():
        rows = predicted(frame, target)
        without_labels(name, rows, not asked.no_peers)
        with_few(name, two_models(frame, target), asked.runs)
    print(f"\n{len(failed)} failed" + (": " + "; ".join(failed) if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
