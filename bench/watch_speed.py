"""Drift and quality of 1M rows against 1M, 20 columns: beside Evidently and NannyML in one run; growth to 100M rows.

    $ PYTHONPATH=src python bench/watch_speed.py                 # the peers take some minutes
    $ PYTHONPATH=src python bench/watch_speed.py --no-peers --long

Each contender runs in a process of its own, two threads. Ours: ``drift_between``, ``measure`` (what ``watch`` calls),
and counting into a kept reference. Checked against scipy and formulas written out here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peers
import polars as pl

FOLDER = peers.OUT / "speed"
COLUMNS = [f"f{i}" for i in range(12)] + [f"i{i}" for i in range(4)] + [f"c{i}" for i in range(4)]
failed: list[str] = []


def make(n: int, seed: int, drift: int) -> pl.DataFrame:
    r = np.random.default_rng(seed)
    d = {f"f{i}": r.normal(0.1 * drift * (i < 4), 1, n) * (1 + 0.05 * drift * (i == 5)) for i in range(12)}
    d |= {f"i{i}": r.poisson(5 + drift * (i == 0) * 0.3, n) for i in range(4)}
    for i in range(4):
        p = np.ones(8)
        p[0] += drift * (i == 0)
        d[f"c{i}"] = np.array(list("abcdefgh"))[r.choice(8, n, p=p / p.sum())]
    z = d["f0"] + 0.5 * d["f1"] - 0.3 * d["f6"]
    d["y"] = (r.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)
    d["score"] = 1 / (1 + np.exp(-(z + r.normal(0, 0.5, n))))
    d["pred"] = (d["score"] > 0.5).astype(np.int8)
    return pl.DataFrame(d)


def files(rows: int) -> tuple[Path, Path]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    at = FOLDER / f"ref{rows}.parquet", FOLDER / f"cur{rows}.parquet"
    for i, file in enumerate(at):
        if not file.exists():
            make(rows, i, i).write_parquet(file)
    return at


OURS = """
import json, resource, sys, time
t = time.perf_counter()
import numpy as np, polars as pl
from evermodel.monitoring.drift_scores import drift_between
from evermodel.core.stats.metric_intervals import measure
from evermodel.core.stats.reference_bins import references, count_column
imported = time.perf_counter() - t
ref, cur, cols = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
t = time.perf_counter(); drift = drift_between(ref, cur, columns=cols); drifted = time.perf_counter() - t
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
t = time.perf_counter()
q = pl.read_parquet(cur, columns=["y", "score"]); p = q["score"].to_numpy(); y = q["y"].to_numpy().astype(np.int64)
both = np.column_stack([1 - p, p])
scores = {m: measure(m, y, both).value for m in ("accuracy", "precision", "recall", "f1", "auc")}
quality = time.perf_counter() - t
print(json.dumps({"import": imported, "drift": drifted, "quality": quality, "peak": peak,
    "peak_all": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "scores": scores,
    "statistics": {d.column: dict(d.statistics) for d in drift}}))
"""
KEPT = """
import json, resource, sys, time
import numpy as np, polars as pl
from concurrent.futures import ThreadPoolExecutor
from evermodel.core.stats.reference_bins import references, count_column
ref, cur, cols = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
known = {}
for c in cols:
    known |= references(pl.read_parquet(ref, columns=[c]), [c])
t = time.perf_counter(); n = pl.read_parquet(cur, columns=cols).height; read = time.perf_counter() - t
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def one(c):
    return count_column(pl.read_parquet(cur, columns=[c])[c], known[c])
t = time.perf_counter()
with ThreadPoolExecutor(2) as pool: counted = list(pool.map(one, cols))
spent = time.perf_counter() - t
assert all(c.rows == n for c in counted)
print(json.dumps({"rows": n, "read": read, "count": spent}))
"""
LONG = """
import json, resource, sys, time
import numpy as np, polars as pl
sys.path.insert(0, sys.argv[3])
from watch_speed import COLUMNS, make
from evermodel.core.stats.reference_bins import references, count_column
ref, total = sys.argv[1], int(sys.argv[2])
known = {}
for c in COLUMNS: known |= references(pl.read_parquet(ref, columns=[c]), [c])
pool = [make(250_000, s, s % 2) for s in range(4)]
state, spent, peaks, done = {}, 0.0, [], 0
while done < total:
    batch = pool[(done // 250_000) % 4]
    t = time.perf_counter()
    for c in COLUMNS:
        found = count_column(batch[c], known[c]); state[c] = state[c] + found if c in state else found
    spent += time.perf_counter() - t; done += batch.height
    if done % (total // 10) == 0: peaks.append([done, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024])
assert all(s.rows == total for s in state.values())
print(json.dumps(peaks))
"""


def ours(script: str, *words: str) -> dict:
    env = {**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script, *words], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def say(what: str, value: float, bar: str = "", passed: bool | None = None) -> None:
    passed = None if passed is None else bool(passed)
    if passed is False:
        failed.append(what)
    print(f"{ {True: 'PASS', False: 'FAIL', None: '    '}[passed] }  {what:<70}{value:>12.4g}  {bar}", flush=True)


def check(statistics: dict, ref: Path, cur: Path) -> None:
    """The same numbers as scipy's, and as the formulas say."""
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

    worst = dict.fromkeys(("ks", "wasserstein", "psi", "jensen_shannon", "chi2"), 0.0)
    for name in ("f0", "f5", "f11", "i0", "c0", "c3"):
        a, b = (pl.read_parquet(f, columns=[name])[name].to_numpy() for f in (ref, cur))
        if name[0] == "c":
            p, q = (np.unique(x.astype(str), return_counts=True)[1] for x in (a, b))
        else:
            edges = np.unique(np.sort(a)[np.arange(1, 10) * len(a) // 10])
            p, q = (np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1) for x in (a, b))
            theirs = {"ks": ks_2samp(a, b, method="asymp").statistic, "wasserstein": wasserstein_distance(a, b)}
            for k, v in theirs.items():
                worst[k] = max(worst[k], abs(v - statistics[name][k]))
        s, t = np.maximum(p / p.sum(), 1e-4), np.maximum(q / q.sum(), 1e-4)
        worst["psi"] = max(worst["psi"], abs(((t - s) * np.log(t / s)).sum() - statistics[name]["psi"]))
        js = jensenshannon(p / p.sum(), q / q.sum(), base=2)
        worst["jensen_shannon"] = max(worst["jensen_shannon"], abs(js - statistics[name]["jensen_shannon"]))
        if name[0] == "c":
            theirs = chi2_contingency(np.stack([p, q]), correction=False).statistic
            worst["chi2"] = max(worst["chi2"], abs(theirs / statistics[name]["chi2"] - 1))
    for k, v in worst.items():
        say(f"largest difference of {k} to scipy or formula", v, "<= 1e-9", v <= 1e-9)


PEER = "import os; os.chdir({folder!r})\n"


def peer(name: str, script: Path, ref: Path, cur: Path) -> tuple[float, float]:
    """Seconds of drift and of quality, as the peer's own script in ../shared/peers measures them."""
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    for source, link in ((ref, "ref.parquet"), (cur, "cur.parquet")):
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(source.resolve())
    words = peers.run(name, script.read_text(), folder=folder).split()
    print("      " + " ".join(words))
    return float(words[words.index("drift") + 1]), float(
        words[words.index("class" if name == "evidently" else "cbpe") + 1]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--long", action="store_true", help="10M rows from a file and 100M in batches too")
    parser.add_argument("--scripts", type=Path, default=Path(__file__).parents[2] / "shared" / "peers")
    asked = parser.parse_args()
    ref, cur = files(asked.rows)
    words = str(ref), str(cur), ",".join(COLUMNS)
    began = time.time()
    best = min((ours(OURS, *words) for _ in range(3)), key=lambda f: f["drift"] + f["quality"])
    for what in ("import", "drift", "quality"):
        say(f"ours: {what} (s)", best[what])
    say("ours: peak memory (MB)", best["peak_all"], "<= 400", best["peak_all"] <= 400)
    check(best["statistics"], ref, cur)
    kept = min((ours(KEPT, *words) for _ in range(3)), key=lambda f: f["count"])
    ratio = kept["count"] / kept["read"]
    say("kept reference: counting / reading the file once", ratio, "<= 4", ratio <= 4)
    if not asked.no_peers:
        for name, script, bar in (("nannyml", "nm.py", 8), ("evidently", "ev.py", 40)):
            drift, quality = peer(name, asked.scripts / script, ref, cur)
            for what, theirs in (("drift", drift), ("quality", quality)):
                times = theirs / best[what]
                say(f"{name}: {what} {theirs:.1f} s, times ours", times, f">= {bar}", times >= bar)
    if asked.long:
        big = ours(KEPT, str(ref), str(files(10_000_000)[1]), ",".join(COLUMNS))
        say("10M rows from a file: counting (s)", big["count"])
        say(
            "  a row, times that of 1M rows",
            big["count"] / kept["count"] / 10,
            "<= 1.5",
            big["count"] / kept["count"] < 15,
        )
        peaks = ours(LONG, str(ref), "100000000", str(Path(__file__).parent))
        say("100M rows in batches: counting (s)", peaks[-1][1])
        slope = (peaks[-1][1] - peaks[-2][1]) / (peaks[1][1] - peaks[0][1])
        say("  last tenth / second tenth, seconds", slope, "<= 1.5", slope <= 1.5)
        grown = peaks[-1][2] - peaks[0][2]
        say("  memory grown after the first tenth (MB)", grown, "<= 50", grown <= 50)
    print(f"\n{len(failed)} failed; {time.time() - began:.0f} s" + (": " + "; ".join(failed) if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
