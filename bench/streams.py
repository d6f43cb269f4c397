"""Score on the NEXT block of never / textbook / refit on all / refit on a window / last value / Evermodel's auto.

    python bench/streams.py [--kinds keras,sklearn,lightgbm] [--streams …] [--seeds 3] [--first 0] [--ensemble]

Every run adopts a real model file into a fresh registry and then calls ``evermodel.update`` block by block, as a user
would. Fixed strategies train on all rows of all blocks so far (nothing kept out for judging). Times are of training
alone, all candidates and the finishing counted: processor seconds, as other work on the machine does not lengthen
them. Prints a table and each bar with PASS or FAIL. ``--read FILE.json …`` prints them for runs made before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import polars as pl
from stream_data import STREAMS, Stream
from stream_models import deploy, list_options, textbook

import evermodel
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.table import Table
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.widening import widen_model
from evermodel.core.stats.metric import METRICS
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.update_result import UpdateResult
from evermodel.registry.versions import load_version
from evermodel.updating import trained_candidate as making


@dataclass(frozen=True)
class Run:
    """Mean next-block score, in points, and processor seconds of training, by strategy; what auto decided each time."""

    stream: str
    kind: str
    seed: int
    scores: dict[str, float]
    seconds: dict[str, float]
    decisions: list[str]
    last_told: bool | None = None  # whether each report told it where the last value seen did better, and only there


def score(stream: Stream, model: Model, block: pl.DataFrame) -> float:
    table = clean(block.lazy(), model.contract, labelled=True).collect()
    return 100.0 * METRICS.load(stream.metric)(model.target(table), model.predict(table.frame))


def told_of_last(name: str, registry: Path, done: UpdateResult) -> bool:
    """Whether the update's report says that the last value seen does better just where it did on the judged rows."""
    tried = {c.strategy: c.score for c in done.candidates}
    chosen = next(c.score for c in done.candidates if c.chosen)
    evermodel.report(name, to=registry / "report.html", registry=registry)
    said = "repeat the last value seen scores better than the model" in (registry / "report.html").read_text()
    return said == (tried["last value seen"] > chosen)


def last_seen(stream: Stream, model: Model, block: pl.DataFrame) -> float:
    table = clean(block.lazy(), model.contract, labelled=True).collect()
    y = model.target(table)
    p = y[:-1] if stream.task == "regression" else np.eye(len(model.contract.classes))[y[:-1]]
    return 100.0 * METRICS.load(stream.metric)(y[1:], p)


def cleaned(model: Model, blocks: list[pl.DataFrame]) -> Table:
    """All rows of some blocks, numbered by block."""
    parts = [clean(b.lazy(), model.contract, labelled=True).collect() for b in blocks]
    numbers = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    return Table(pl.concat([p.frame for p in parts]), model.contract.roles, numbers)


def fixed(name: str, deployed: Model, seen: list[pl.DataFrame], before: Model, seed: int) -> tuple[Model, float]:
    """The model of a fixed strategy after the blocks ``seen``, and the seconds of its training; cleaning costs none."""
    if name == "textbook":
        rows = cleaned(deployed, seen[-1:])
        began = time.process_time()
        return textbook(before, rows, seed), time.process_time() - began
    known = compare_with_contract(deployed.contract, pl.concat(seen).lazy()).contract
    deployed = widen_model(dataclasses.replace(deployed, contract=known))
    rows = cleaned(deployed, seen)
    settings = {"window": 3} if name == "window" else {}
    settings |= as_deployed(deployed, rows)
    began = time.process_time()
    made = Context(seed).run_strategy("refit", [deployed], Split(rows), **settings)
    return made, time.process_time() - began


def as_deployed(deployed: Model, rows: Table) -> dict[str, int]:
    """The epochs and the batch size a network was deployed with; trees and linear models carry their own."""
    if not deployed.signature.network:
        return {}
    pictures = deployed.transform.layout == "image"
    return {"epochs": 10 if pictures else 20, "batch_size": 32 if pictures or len(rows) <= 1000 else 64}


def run(stream: Stream, kind: str, seed: int, *, ensemble: bool = False) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry"
        file = deploy(stream, kind, seed, Path(folder))
        name = evermodel.adopt(
            file,
            data=stream.blocks[0],
            target=stream.target,
            name="model",
            registry=registry,
            **list_options(stream, kind),
        ).name
        store = open_store(registry)
        deployed = load_version(store, champion_of(store, name))
        names = ["never", "all", "window", *(["textbook"] if kind == "keras" else [])]
        models = dict.fromkeys([*names, "auto"], deployed)
        scores: dict[str, list[float]] = {n: [] for n in [*models, *(["last"] if stream.series else [])]}
        seconds = dict.fromkeys(models, 0.0)
        decisions, told = [], []
        for t in range(1, len(stream.blocks) - 1):
            for strategy in names[1:]:
                seen = list(stream.blocks[: t + 1])
                models[strategy], spent = fixed(strategy, deployed, seen, models[strategy], seed)
                seconds[strategy] += spent
            with patch.object(
                making, "time", SimpleNamespace(monotonic=time.process_time, process_time=time.process_time)
            ):
                options = {"seed": seed, "metric": stream.metric, "ensemble": ensemble}
                done = evermodel.update(name, stream.blocks[t], registry=registry, **options)
            seconds["auto"] += done.training_seconds
            decisions.append(done.decision)
            told += [told_of_last(name, registry, done)] if stream.series else []
            models["auto"] = load_version(store, champion_of(store, name))
            following = stream.blocks[t + 1]
            for strategy, model in models.items():
                scores[strategy].append(score(stream, model, following))
            if stream.series:
                scores["last"].append(last_seen(stream, deployed, following))
        means = {k: float(np.mean(v)) for k, v in scores.items()}
        return Run(stream.name, kind, seed, means, seconds, decisions, all(told) if told else None)


def line(r: Run) -> str:
    best = max(v for k, v in r.scores.items() if k not in ("auto", "last"))
    cells = "  ".join(f"{k} {v:7.2f}" for k, v in r.scores.items())
    ratio = r.seconds["auto"] / max(r.seconds["all"], 1e-9)
    said = "".join(d[0] for d in r.decisions)
    gap = r.scores["auto"] - best
    last = "" if r.last_told is None else "  last told" if r.last_told else "  last not told"
    return f"{r.kind:<9}{r.stream:<15}{r.seed}  {cells}  | auto-best {gap:+6.2f}  time x{ratio:4.2f}  {said}{last}"


def bars(runs: list[Run]) -> None:
    """Each promise, with the share of runs that keep it."""
    for kind in sorted({r.kind for r in runs}):
        mine = [r for r in runs if r.kind == kind]
        best = np.array([max(v for k, v in r.scores.items() if k not in ("auto", "last")) for r in mine])
        auto, never = (np.array([r.scores[k] for r in mine]) for k in ("auto", "never"))
        gap = auto - best
        helped = best > never
        ratio = sum(r.seconds["auto"] for r in mine) / sum(r.seconds["all"] for r in mine)
        worst = max(r.seconds["auto"] / max(r.seconds["all"], 1e-9) for r in mine)
        network = kind == "keras"
        checks = [
            (
                "above never where any fixed is, else within .2",
                bool(np.where(helped, auto > never, gap >= -0.2).all()),
                f"{int(np.where(helped, auto > never, gap >= -0.2).sum())} of {len(mine)}",
            ),
            (
                f"within .5 of the best fixed on {85 if network else 90} %",
                (gap >= -0.5).mean() >= (0.85 if network else 0.9),
                f"{100 * (gap >= -0.5).mean():.0f} %",
            ),
            (f"never more than {2 if network else 1} below", gap.min() >= (-2 if network else -1), f"{gap.min():+.2f}"),
            ("above the best fixed on half", (gap > 0).mean() >= 0.5, f"{100 * (gap > 0).mean():.0f} %"),
            (
                f"training time <= {1.2 if network else 2} x refit on all",
                ratio <= (1.2 if network else 2.0),
                f"x{ratio:.2f} in all, x{worst:.2f} the slowest run",
            ),
        ]
        heard = [r.last_told for r in mine if r.last_told is not None]
        if heard:
            said = "reports say where the last value seen wins, and only there"
            checks.append((said, all(heard), f"{sum(heard)} of {len(heard)} runs"))
        for what, kept, found in checks:
            print(f"{'PASS' if kept else 'FAIL'}  {kind:<9} {what}: {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="sklearn,lightgbm,keras")
    parser.add_argument("--streams", default=",".join(STREAMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--ensemble", action="store_true", help="let auto make several models as one")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", type=Path, nargs="+")
    given = parser.parse_args()
    if given.read:
        runs = [Run(**r) for file in given.read for r in json.loads(file.read_text())]
        print(*map(line, runs), sep="\n")
        bars(runs)
        return
    runs = []
    for kind in given.kinds.split(","):
        for name in given.streams.split(","):
            if name == "traffic_signs" and kind != "keras":
                continue
            for seed in range(given.first, given.first + given.seeds):
                runs.append(run(STREAMS[name](), kind, seed, ensemble=given.ensemble))
                print(line(runs[-1]), flush=True)
                if given.out:
                    given.out.write_text(json.dumps([asdict(r) for r in runs], indent=1))
    bars(runs)


if __name__ == "__main__":
    main()
