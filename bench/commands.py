"""Whole commands as a user runs them, beside the plain script that does the same job: wall, processor time, memory.

    $ PYTHONPATH=src python bench/commands.py --rows 10000 1000000 --frameworks lightgbm sklearn xgboost [--rounds 3]

Each command and its script are processes of their own, one after the other in turns; ratios are of the same turn.
The rows are drawn in processes of their own, since a child's peak of memory counts its parent's at the start.
Both find their modules compiled, as after ``pip install``: a turn at the fewest rows that is not counted compiles them.
``watch`` takes windows of 1,000 rows of 22 columns. At last each command is run once more at the fewest rows to see
which frameworks it imports.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import peers

FOLDER = peers.OUT / "commands"
SOURCE = Path(__file__).parents[1] / "src"
MODELS = {"lightgbm": "model.txt", "sklearn": "model.skops", "xgboost": "model.ubj", "keras": "model.keras"}
COMMANDS = ("adopt", "predict", "evaluate", "watch", "check", "report", "update")
OWN = {"sklearn": {"sklearn"}, "lightgbm": {"lightgbm"}, "xgboost": {"xgboost"}, "keras": {"keras", "tensorflow"}}
HEAVY = {"torch", "tensorflow", "keras", "sklearn", "lightgbm", "xgboost", "catboost", "transformers", "jax", "optuna"}
VERDICTS = {"check": (0, 1, 2), "watch": (0, 20), "update": (0, 10, 11, 12)}  # exit codes that are no failure
BARS = {"predict": 1.15, "update": 2.3}  # times the processor time of the plain script
WATCH_SECONDS = 8.0  # processor time, a million rows
COLUMNS = [f"f{i:02d}" for i in range(20)]

READ = f"""
import sys, numpy as np, polars as pl
model_file, reference, new, out = sys.argv[1:5]
NAMES = {COLUMNS!r}
def x_of(frame): return frame.select(NAMES).to_numpy()
"""
LOAD = {
    "lightgbm": "import lightgbm\nmodel = lightgbm.Booster(model_file=model_file)\n"
    "def p_of(x): return model.predict(x)\n",
    "sklearn": "import skops.io\ntrusted = skops.io.get_untrusted_types(file=model_file)\n"
    "model = skops.io.load(model_file, trusted=trusted)\n"
    "def p_of(x): return model.predict_proba(x)[:, 1]\n",
    "xgboost": "import xgboost\nmodel = xgboost.Booster(model_file=model_file)\n"
    "def p_of(x): return model.inplace_predict(x)\n",
    "keras": "import keras\nmodel = keras.models.load_model(model_file)\n"
    "def p_of(x): return model.predict(x.astype('float32'), batch_size=4096, verbose=0)[:, 0]\n",
}
FIT = {
    "lightgbm": "import lightgbm\nmodel = lightgbm.train(dict(objective='binary', num_leaves=31, verbose=-1, "
    "num_threads=1), lightgbm.Dataset(x, y), 100)\nmodel.save_model(out)\ndef p_of(x): return model.predict(x)\n",
    "sklearn": "import skops.io\nfrom sklearn.linear_model import LogisticRegression\n"
    "from sklearn.preprocessing import StandardScaler\nfrom sklearn.pipeline import make_pipeline\n"
    "model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)\nskops.io.dump(model, out)\n"
    "def p_of(x): return model.predict_proba(x)[:, 1]\n",
    "xgboost": "import xgboost\nmodel = xgboost.train(dict(objective='binary:logistic', max_depth=6, nthread=1), "
    "xgboost.DMatrix(x, y), 100)\nmodel.save_model(out)\ndef p_of(x): return model.inplace_predict(x)\n",
    "keras": "import keras\nkeras.utils.set_random_seed(0)\nmodel = keras.Sequential([keras.Input((20,)), "
    "keras.layers.Dense(32, 'relu'), keras.layers.Dense(1, 'sigmoid')])\n"
    "model.compile('adam', 'binary_crossentropy')\nmodel.fit(x, y, epochs=2, batch_size=512, verbose=0)\n"
    "model.save(out)\ndef p_of(x): return model.predict(x.astype('float32'), batch_size=4096, verbose=0)[:, 0]\n",
}
AUC = """
def auc(y, p):
    order = pl.Series(p).rank().to_numpy(); n = y.sum()
    return (order[y == 1].sum() - n * (n + 1) / 2) / (n * (len(y) - n))
def score(y, p):
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return auc(y, p), ((p > .5) == y).mean(), -np.where(y == 1, np.log(q), np.log(1 - q)).mean()
"""
WINDOWS = """
from scipy import stats
old, frame = pl.read_parquet(reference), pl.read_parquet(new)
ranked = {name: np.sort(old[name].to_numpy()) for name in NAMES}
for at in range(0, frame.height, 1000):
    part = frame[at : at + 1000]
    found = [stats.ks_2samp(part[name].to_numpy(), ranked[name][:: max(1, len(old) // 1000)]) for name in NAMES]
    part["y"].mean(), (part["prediction"] == part["y"]).mean(), auc(part["y"].to_numpy(), part["p_1"].to_numpy())
"""


DRAW = """
r = np.random.default_rng({rows})
for at in (reference, new):
    x = r.normal(size=({rows}, 20)).round(4)
    y = (x[:, 0] + 0.5 * x[:, 1] * x[:, 2] - 0.3 * x[:, 6] + r.logistic(size={rows}) > 0).astype(int)
    pl.DataFrame(dict(zip(NAMES, x.T)) | dict(y=y)).write_parquet(at)
"""
JOIN = """
p = pl.read_parquet(model_file).select("prediction", "p_1").with_columns(p_0=1 - pl.col("p_1"))
pl.read_parquet(new).hstack(p).write_parquet(out)
"""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall: float  # seconds
    processor: float  # seconds, its children's too
    memory: float  # MB at the peak


def plain_script(command: str, framework: str) -> str:
    """The script that a person would write instead; "" where there is none."""
    read, load, fit = READ, LOAD[framework], FIT[framework]
    scored = AUC + "frame = pl.read_parquet({0})\nprint(score(frame['y'].to_numpy(), p_of(x_of(frame))))\n"
    held = "both = pl.concat([pl.read_parquet(reference), pl.read_parquet(new).select(NAMES + ['y'])])\n"
    split = "cut = both.height - both.height // 10\nx, y = x_of(both[:cut]), both[:cut]['y'].to_numpy()\n"
    ends = "rest = both[cut:]\nprint(score(rest['y'].to_numpy(), p_of(x_of(rest))))\n"
    write = "p = p_of(x_of(pl.read_parquet(new)))\n"
    write += "pl.DataFrame({'prediction': (p > .5).astype(int), 'p_0': 1 - p, 'p_1': p}).write_parquet(out)\n"
    return {
        "adopt": read + load + scored.format("reference"),
        "predict": read + load + write,
        "evaluate": read + load + scored.format("new"),
        "check": "",
        "watch": read + AUC + WINDOWS,
        "report": "",
        "update": read + held + split + fit + AUC + ends,
    }[command]


def make(rows: int, framework: str) -> Path:
    """The folder with the model, the rows that it was trained on, and new ones with what it predicts."""
    folder = FOLDER / f"{framework}-{rows}"
    if (folder / "predicted.parquet").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    model, out = folder / MODELS[framework], folder / "predicted.parquet"
    fitted = "both = pl.read_parquet(reference)\nx, y = x_of(both), both['y'].to_numpy()\n"
    words = [str(folder / "reference.parquet"), str(folder / "new.parquet")]
    run(["-c", READ + DRAW.format(rows=rows), "", *words, ""])
    run(["-c", READ + fitted + FIT[framework], str(model), *words, str(model)])
    run(["-c", plain_script("predict", framework), str(model), *words, str(folder / "p.parquet")])
    run(["-c", READ + JOIN, str(folder / "p.parquet"), *words, str(out)])
    return folder


def list_words(command: str, folder: Path, framework: str) -> list[str]:
    """The command as a user types it."""
    model, reference, new = (str(folder / n) for n in (MODELS[framework], "reference.parquet", "new.parquet"))
    return {
        "adopt": ["adopt", model, "--data", reference, "--target", "y", "--name", "m"],
        "predict": ["predict", "m", new, "--to", str(folder / "ours.parquet")],
        "evaluate": ["evaluate", "m", new],
        "check": ["check", "m"],
        "watch": ["watch", "m", str(folder / "predicted.parquet"), "--window", "1000rows"],
        "report": ["report", "m", "--to", str(folder / "report.html")],
        "update": ["update", "m", new, "--with", "refit"],
    }[command]


def run(words: list[str], *flags: str, verdicts: tuple[int, ...] = (0,)) -> tuple[Cost, str]:
    """Runs Python with the words; its standard error beside what it took. ``verdicts`` are exit codes of success."""
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = str(FOLDER / "compiled")
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *flags, *words], env=env, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        said.seek(0)
        text = said.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code  # it was waited for here
    if code not in verdicts or "Traceback" in text or "Usage:" in text:
        raise RuntimeError(f"{' '.join(words)[:300]} ended with {code}: {text[-1500:]}")
    return Cost(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), text


def run_ours(words: list[str], registry: Path, *flags: str) -> tuple[Cost, str]:
    whole = ["-c", "from evermodel.cli import main; main()", *words, "--registry", str(registry)]
    return run(whole, *flags, verdicts=VERDICTS.get(words[0], (0,)))


def take_turn(folder: Path, framework: str, commands: Sequence[str]) -> dict[str, tuple[Cost, Cost | None]]:
    """What each of the commands took, and its script, one after the other in a fresh registry."""
    words = [str(folder / MODELS[framework]), *(str(folder / f"{n}.parquet") for n in ("reference", "new"))]
    found: dict[str, tuple[Cost, Cost | None]] = {}
    registry = folder / "registry"
    shutil.rmtree(registry, ignore_errors=True)
    for command in commands:
        ours, plain = run_ours(list_words(command, folder, framework), registry)[0], None
        if script := plain_script(command, framework):
            at = folder / ("predicted.parquet" if command == "watch" else "new.parquet")
            out = str(folder / ("out.parquet" if command == "predict" else MODELS[framework].replace("model", "out")))
            plain = run(["-c", script, *words[:2], str(at), out])[0]
        found[command] = ours, plain
    return found


def list_imports(framework: str, rows: int, commands: Sequence[str]) -> dict[str, set[str]]:
    """The frameworks that each command imports beside the model's own."""
    folder, found = make(rows, framework), {}
    registry = folder / "registry"
    shutil.rmtree(registry, ignore_errors=True)
    for command in commands:
        _, text = run_ours(list_words(command, folder, framework), registry, "-X", "importtime")
        names = {line.rpartition("|")[2].strip().split(".")[0] for line in text.splitlines() if "import time:" in line}
        found[command] = (names & HEAVY) - OWN[framework]
    return found


def tell(framework: str, rows: int, command: str, ours: Sequence[Cost], plain: Sequence[Cost]) -> bool:
    """Prints one line; whether it is within its bar."""
    own = [statistics.median(getattr(cost, part) for cost in ours) for part in ("wall", "processor", "memory")]
    line = f"{framework:9} {rows:>9,} {command:9} {own[0]:7.2f} s {own[1]:7.2f} cpu {own[2]:6.0f} MB"
    good = command != "watch" or rows != 1_000_000 or own[1] <= WATCH_SECONDS
    if plain:
        parts = ("wall", "processor", "memory")
        ratios = [
            statistics.median(getattr(a, p) / getattr(b, p) for a, b in zip(ours, plain, strict=True)) for p in parts
        ]
        base = statistics.median(cost.processor for cost in plain)
        line += f"  script {base:7.2f} cpu  ratios {ratios[0]:5.2f} {ratios[1]:5.2f} {ratios[2]:5.2f}"
        good = good and ratios[1] <= BARS.get(command, float("inf"))
    print(line + ("" if good else "  FAIL"), flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--frameworks", nargs="+", default=["lightgbm", "sklearn", "xgboost"], choices=sorted(MODELS))
    parser.add_argument("--commands", nargs="+", default=COMMANDS, choices=COMMANDS, help="adopt runs in any case")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    good, commands = True, [c for c in COMMANDS if c == "adopt" or c in arguments.commands]
    print("ratios: wall, processor time, peak memory; ours over the plain script's")
    for framework in arguments.frameworks:
        take_turn(make(min(arguments.rows), framework), framework, commands)  # compiles the modules
        for rows in arguments.rows:
            turns = [take_turn(make(rows, framework), framework, commands) for _ in range(arguments.rounds)]
            for command in commands:
                ours, plain = zip(*(turn[command] for turn in turns), strict=True)
                good &= tell(framework, rows, command, ours, [p for p in plain if p is not None])
        for command, others in list_imports(framework, min(arguments.rows), commands).items():
            if others:
                print(f"{framework:9} {command:9} imports {', '.join(sorted(others))}  FAIL")
                good = False
    print("PASS" if good else "FAIL")
    return not good


if __name__ == "__main__":
    raise SystemExit(main())
