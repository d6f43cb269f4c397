"""Bad rows and labels through the real ``watch``, each in a fresh registry: no false figure, no crash.

    $ PYTHONPATH=src:. python bench/watch_bad_input.py

Prints PASS or FAIL a case: the exit code, whether JSON holds only finite numbers or null, and what must be there or
not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl
from click.testing import CliRunner

import evermodel
from evermodel.cli.app import app
from evermodel.core.errors import EvermodelError
from tests.updating.conftest import rows

START = pl.datetime(2024, 1, 1)


def stream(n: int, seed: int, first: int = 0) -> pl.DataFrame:
    when = START + pl.duration(seconds=(pl.int_range(n) + first) * 360)
    return rows(n, seed).with_columns(id=np.arange(first, first + n), when=when)


@dataclass(frozen=True)
class Case:
    """Deliveries in order; what the last answer must hold."""

    deliveries: tuple[tuple[str, pl.DataFrame], ...]  # "rows" or "labels"
    holds: Callable[[dict[str, Any]], bool]
    codes: tuple[int, ...] = (0, 20)
    words: tuple[str, ...] = field(default=())


def metrics(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [w["metrics"] for w in found["windows"]]


def counted(name: str, n: int) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["counters"].get(name) == n


def open_alarms(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(a["kind"], a["subject"]) for a in found["alarms"] if not a["closed"]}


def cases() -> dict[str, Case]:
    f = stream(1200, 16)
    labels, bare = f.select("id", "y"), f.drop("y")
    strange = labels.with_columns(pl.col("id") + 10**9)
    nan = pl.lit(float("nan"))
    jumped = f.with_columns(when=pl.when(pl.int_range(1200) == 100).then(pl.datetime(2199, 1, 1)).otherwise("when"))
    back = f.with_columns(
        when=pl.when(pl.int_range(1200) > 600).then(pl.col("when") - pl.duration(days=90)).otherwise("when")
    )
    rows_of = lambda x: (("rows", x),)  # noqa: E731
    none = lambda found: not any(metrics(found))  # noqa: E731
    return {
        "labels before predictions": Case((("labels", labels), ("rows", bare)), counted("labels", 1200)),
        "a delivery twice": Case((("rows", f), ("rows", f)), counted("predictions", 1200)),
        "rows twice in one delivery": Case(rows_of(f.vstack(f[:300])), counted("predictions", 1200)),
        "labels twice": Case(
            (("rows", bare), ("labels", labels), ("labels", labels.reverse())), counted("labels", 1200)
        ),
        "a stranger's ids": Case(
            (("rows", bare), ("labels", strange)), lambda m: none(m) and not m["counters"]["labels"]
        ),
        "a clock that jumps ahead": Case(
            rows_of(jumped), lambda m: counted("clock", 1)(m) and "2199" not in str(m["windows"])
        ),
        "a clock that jumps back": Case(
            rows_of(back), lambda m: sum(w["rows"] for w in m["windows"] if not w["slice"]) == 1200
        ),
        "no clock at all": Case(rows_of(f.with_columns(when=pl.lit(None, pl.Datetime))), counted("predictions", 1200)),
        "a column gone": Case(rows_of(f.drop("b")), lambda m: none(m) and ("types", "b") in open_alarms(m)),
        "all-NaN windows": Case(rows_of(f.with_columns(a=nan, b=nan)), lambda m: ("missing", "a") in open_alarms(m)),
        "all labels missing": Case(rows_of(f.with_columns(y=pl.lit(None, pl.Int64))), none),
        "unknown labels": Case(rows_of(f.with_columns(y=pl.lit("maybe"))), none),
        "one class only": Case(rows_of(f.with_columns(y=pl.lit(1))), lambda m: all("auc" not in x for x in metrics(m))),
        "10,000 categories": Case(
            rows_of(stream(10_000, 3).with_columns(kind=pl.format("k{}", pl.int_range(10_000)))),
            lambda m: ("unseen", "kind") in open_alarms(m),
        ),
        "words for numbers": Case(
            rows_of(f.with_columns(a=pl.lit("broken"))), lambda m: ("missing", "a") in open_alarms(m)
        ),
        "infinite numbers": Case(
            rows_of(f.with_columns(a=pl.lit(float("inf")))), lambda m: ("missing", "a") in open_alarms(m)
        ),
        "one row": Case(rows_of(f[:1]), counted("predictions", 1)),
        "zero rows": Case(rows_of(f[:0]), lambda m: m == {}, (2,)),
        "labels without a key": Case((("rows", bare), ("labels", labels.select("y"))), lambda m: m == {}, (2,)),
        "labels without the target": Case((("labels", labels.select("id")),), lambda m: m == {}, (2,)),
    }


def tried(case: Case, adopted: Path, folder: Path) -> list[str]:
    """What is wrong with the answer."""
    registry, wrong = folder / "registry", []
    shutil.copytree(adopted, registry)
    done = None
    for i, (what, frame) in enumerate(case.deliveries):
        at = folder / f"{i}.parquet"
        frame.write_parquet(at)
        given = [str(at)] if what == "rows" else ["--labels", str(at)]
        done = CliRunner().invoke(app, ["watch", "m", *given, *case.words, "--json", "--registry", str(registry)])
    assert done is not None
    refused = isinstance(done.exception, EvermodelError)  # as cli.main ends: its code, and no traceback
    code = done.exception.exit_code if refused else done.exit_code
    if code not in case.codes:
        wrong.append(f"exit code {code}: {done.exception!r} {done.output[-300:]}")
    elif done.exception and not refused and not isinstance(done.exception, SystemExit):
        wrong.append(repr(done.exception)[:200])
    found = {}
    if done.stdout.strip().startswith("{") and 2 not in case.codes:
        found = json.loads(done.stdout, parse_constant=lambda c: wrong.append(f"{c} in the JSON"))
        for window in found["windows"]:
            for name, value in window["metrics"].items():
                if value["value"] is None or not value["n"]:
                    wrong.append(f"{name} of no rows")
    if not wrong and not case.holds(found):
        wrong.append(f"not as it must be: {found.get('counters')}, {open_alarms(found) if found else ''}")
    return wrong


def main() -> None:
    import lightgbm

    folder = Path(tempfile.mkdtemp())
    frame = rows(3000, 1)
    codes = frame["kind"].replace_strict({"blue": 0, "green": 1, "red": 2}).to_numpy()
    x = np.column_stack([frame["a"].to_numpy(), frame["b"].to_numpy(), codes])
    settings = {"objective": "binary", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    model = folder / "model.txt"
    lightgbm.train(settings, lightgbm.Dataset(x, frame["y"].to_numpy()), 30).save_model(model)
    evermodel.adopt(
        model, data=stream(3000, 2, -3000).drop("id"), target="y", name="m", time="when", registry=folder / "adopted"
    )
    failed = 0
    for name, case in cases().items():
        own = folder / name.replace(" ", "_")
        own.mkdir()
        wrong = tried(case, folder / "adopted", own)
        failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'PASS'}  {name}{': ' + '; '.join(wrong) if wrong else ''}", flush=True)
    shutil.rmtree(folder)
    print(f"\n{failed} of {len(cases())} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
