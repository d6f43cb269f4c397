"""What tune, prune, fuse and iterate say to bad spaces, impossible ratios, strangers' networks and mixed contracts.

    $ PYTHONPATH=src:. python bench/iterate_bad_input.py

Each case goes through the real command. PASS: exit code 2, an error in words without a traceback that says what was
expected, and versions, log and names of the store exactly as before.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from unittest import mock

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl

import evermodel
from evermodel.cli import main as run
from tests.updating.conftest import rows

GOOD = {"num_leaves": [3, 7]}


def booster(registry: Path, folder: Path) -> None:
    """A LightGBM model "m": v1 adopted, v2 a refit with a third class, v3 and v4 refits of other rows."""
    import lightgbm

    frame = rows(1500, 1)
    x = np.column_stack([frame["a"], frame["b"], frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2})])
    told = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    lightgbm.train(told, lightgbm.Dataset(x, frame["y"].to_numpy()), 30).save_model(folder / "m.txt")
    evermodel.adopt(folder / "m.txt", data=rows(1500, 2), target="y", name="m", time="when", registry=registry)
    for seed in (3, 4):
        evermodel.update("m", rows(600, seed, angle=0.3 * seed), registry=registry)


def network(registry: Path, folder: Path, hidden: int) -> None:
    """A Keras network "n" with a hidden layer, or "l" without any: nothing can be taken out of it."""
    import keras

    keras.utils.set_random_seed(0)
    frame = rows(900, 1).select("a", "b", "y")
    layers = [keras.layers.Dense(8, "relu")] * min(hidden, 1) + [keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    model.fit(frame.select("a", "b").to_numpy(), frame["y"].to_numpy(), epochs=12, verbose=0)
    model.save(folder / "n.keras")
    evermodel.adopt(folder / "n.keras", data=frame, target="y", name="n" if hidden else "l", registry=registry)


def wider(registry: Path, folder: Path) -> None:
    """A forest "w" whose v2 knows a class that v1 does not: versions of different contracts."""
    import skops.io
    from sklearn.linear_model import LogisticRegression

    frame = rows(900, 1).select("a", "b", "y")
    skops.io.dump(
        LogisticRegression().fit(frame.select("a", "b").to_numpy(), frame["y"].to_numpy()), folder / "w.skops"
    )
    evermodel.adopt(folder / "w.skops", data=frame, target="y", name="w", registry=registry)
    new = rows(900, 5).select("a", "b", pl.when(pl.col("b") > 14).then(2).otherwise("y").alias("y"))
    evermodel.update("w", new, strategy="refit", new_classes=[2], registry=registry)


def cases(at: Path) -> dict[str, tuple[list[str], str]]:
    """Name -> the command, and what its error must say."""

    def file(name: str, text: str) -> str:
        (at / name).write_text(text)
        return str(at / name)

    def table(name: str, frame: pl.DataFrame) -> str:
        frame.write_csv(at / name)
        return str(at / name)

    def space(name: str, said: object) -> str:
        return file(name, json.dumps(said))

    new, few = table("new.csv", rows(400, 9)), table("few.csv", rows(9, 9))
    plain = table("plain.csv", rows(400, 9).select("a", "b", "y"))
    one = table("one.csv", rows(400, 9).with_columns(y=1))
    bare, other = table("bare.csv", rows(400, 9).drop("y")), table("other.csv", rows(400, 9).drop("a"))
    tune, prune, fuse = ["tune", "m", new], ["prune", "m", new], ["fuse", "m"]
    return {
        "tune: no such space": ([*tune, "--space", "nowhere.json"], "nowhere.json"),
        "tune: a space that is no JSON": ([*tune, "--space", file("a.json", "{'x': 1")], "JSON"),
        "tune: a space that is no TOML": ([*tune, "--space", file("a.toml", "x = = 1")], "TOML"),
        "tune: a space that runs code": (
            [*tune, "--space", file("a.py", "import os; os.mkdir('/tmp/evermodel_ran')")],
            "JSON",
        ),
        "tune: an empty space": ([*tune, "--space", space("b.json", {})], "at least one"),
        "tune: a space that is a list": ([*tune, "--space", space("c.json", [1, 2])], "must map"),
        "tune: a hyperparameter it has not": ([*tune, "--space", space("d.json", {"depth": [1]})], "num_leaves"),
        "tune: low above high": (
            [*tune, "--space", space("e.json", {"learning_rate": {"low": 1, "high": 0.1}})],
            "low < high",
        ),
        "tune: a logarithm of zero": (
            [*tune, "--space", space("f.json", {"learning_rate": {"low": 0, "high": 1, "log": True}})],
            "0 < low",
        ),
        "tune: bounds that are no numbers": (
            [*tune, "--space", file("g.json", '{"learning_rate": {"low": NaN, "high": 1}}')],
            "numbers",
        ),
        "tune: a choice twice": ([*tune, "--space", space("h.json", {"num_leaves": [3, 3]})], "different"),
        "tune: no choice": ([*tune, "--space", space("i.json", {"num_leaves": []})], "1 to"),
        "tune: a space no model trains in": (
            [*tune, "--trials", "2", "--space", space("j.json", {"num_leaves": [-5, -3]})],
            "trained",
        ),
        "tune: no trials": ([*tune, "--trials", "0"], "--trials"),
        "tune: a budget in words": ([*tune, "--budget", "soon"], "soon"),
        "tune: one fold": ([*tune, "--folds", "1"], "folds"),
        "tune: an unknown tuner": ([*tune, "--with", "tpee"], "tpe"),
        "tune: an unknown setting": ([*tune, "--set", "slak=1"], "slack"),
        "tune: an unknown metric": ([*tune, "--metric", "beauty"], "auc"),
        "tune: rows too few": (["tune", "m", few, "--trials", "2"], "rows"),
        "tune: rows of one class": (["tune", "m", one], "one class"),
        "tune: rows without labels": (["tune", "m", bare], "y"),
        "tune: rows without a column": (["tune", "m", other], "a"),
        "prune: more than all": ([*prune, "--ratio", "1.5"], "below 1"),
        "prune: a ratio that is no number": ([*prune, "--ratio", "nan"], "below 1"),
        "prune: a size nothing reaches": ([*prune, "--size", "0.0001x"], "No ratio"),
        "prune: a latency nothing reaches": ([*prune, "--latency", "0.001x"], "No ratio"),
        "prune: a latency in words": ([*prune, "--latency", "fast"], "0.5x"),
        "prune: three wishes": ([*prune, "--ratio", "0.5", "--size", "0.5", "--latency", "0.5"], "one of"),
        "prune: a margin below nothing": ([*prune, "--keep-metric", "-1"], "keep_metric"),
        "prune: an unknown way": ([*prune, "--with", "chanels"], "channels"),
        "prune: channels of a booster": ([*prune, "--with", "channels", "--ratio", "0.5"], "networks"),
        "prune: weights of a booster": ([*prune, "--with", "magnitude", "--ratio", "0.5"], "linear models"),
        "prune: trees of a network": (["prune", "n", plain, "--with", "trees", "--ratio", "0.5"], "boosters"),
        "prune: columns of a network": (["prune", "n", plain, "--with", "features", "--ratio", "0.5"], "channels"),
        "prune: a network without hidden layers": (["prune", "l", plain, "--ratio", "0.5"], "No channel"),
        "prune: 8 bits of a booster": ([*prune, "--with", "quantise"], "8-bit"),
        "prune: rows too few": (["prune", "m", few, "--ratio", "0.5"], "at least 10"),
        "fuse: one version": ([*fuse, "v1", "--data", new], "two or more"),
        "fuse: a version with itself": ([*fuse, "v1", "v1", "--data", new], "different versions"),
        "fuse: a version there is not": ([*fuse, "v1", "v9", "--data", new], "v3"),
        "fuse: weights of boosters": ([*fuse, "v2", "v3", "--with", "average", "--data", new], "averaged"),
        "fuse: no common ancestor": ([*fuse, "v1", "v2", "--with", "ties", "--data", new], "ancestor"),
        "fuse: an unknown way": ([*fuse, "v1", "v2", "--with", "sup", "--data", new], "soup"),
        "fuse: versions of different contracts": (
            ["fuse", "w", "v1", "v2", "--with", "average", "--data", plain],
            "different structures",
        ),
        "iterate: an unknown goal": (["iterate", "m", new, "--goal", "cheaper"], "faster"),
        "iterate: rows too few": (["iterate", "m", few], "120"),
        "iterate: an unknown model": (["iterate", "churn", new], "churn"),
    }


def state(registry: Path) -> str:
    """Versions, what serves, and the log, of every model."""
    found = []
    for name in ("m", "n", "l", "w"):
        found += [
            name,
            str(evermodel.show(name, registry=registry).rows),
            str(evermodel.log(name, registry=registry).rows),
        ]
    return "\n".join(found)


def asked(command: list[str]) -> tuple[int, str]:
    """Exit code and all that the real command printed."""
    heard = io.StringIO()
    try:
        argv = mock.patch.object(sys, "argv", ["evermodel", *command])
        with argv, contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            run()
    except SystemExit as left:
        return int(left.code or 0), heard.getvalue()
    except BaseException:  # a traceback is what a user would see
        return 1, heard.getvalue() + traceback.format_exc()
    return 0, heard.getvalue()


def main() -> None:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        registry = at / "registry"
        booster(registry, at)
        network(registry, at, 1)
        network(registry, at, 0)
        wider(registry, at)
        before, every = state(registry), cases(at)
        for name, (command, said) in every.items():
            code, heard = asked([*command, "--registry", str(registry)])
            words = (
                [w for w in heard.splitlines() if w.startswith(("evermodel:", "Error:"))] or heard.splitlines() or [""]
            )
            kept = code == 2 and "Traceback" not in heard and said in heard and state(registry) == before
            failed += not kept
            print(f"{'PASS' if kept else 'FAIL'}  {name}: exit {code}: {words[0][:120]}", flush=True)
    print(f"{len(every)} kinds of bad input, {failed} answered wrongly")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
