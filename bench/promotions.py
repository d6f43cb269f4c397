"""What each policy of the judge costs and saves, on the NEXT block of real streams, and on planted harms.

    python bench/promotions.py [--kinds sklearn,…] [--streams …] [--seeds 3] [--first 0] [--minutes 60]
        [--policies no_worse,better]
    python bench/promotions.py --harms 200 [--first 0] [--minutes 60]

Streams: each model file is adopted into a fresh registry and updated block by block, as a user would, once by each
policy, once by "always" (no gate is asked), and never. A promotion is wrong where the new version scores more than a
point below the one it replaced on the next block; a refusal is wrong where the challenger would have scored more than a
point above. Networks for regression on fewer than 2,000 rows a block are printed apart: there one seed decides. Harms:
one update is spoilt on purpose; it is harmful where the version in service is then more than a point worse on the next,
clean block. Where a stream turns, a sound update is that too: the same update with nothing spoilt is made beside, and
it is told which of them are worse by the harm. Prints tables, and each bar with PASS or FAIL. ``--minutes``: nothing
new is begun after them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from stream_data import STREAMS, Stream
from stream_models import MAKERS, deploy, list_options

import evermodel
from evermodel.core.data.cleaning import clean
from evermodel.core.errors import EvermodelError
from evermodel.core.stats.metric import METRICS
from evermodel.registry.lookup import open_store
from evermodel.registry.versions import load_version

NO_GATES = dict.fromkeys(("skill", "enough_events", "not_shown_worse", "guard", "slices"))
POLICIES = {
    "always": {"policy": "refresh", "gates": NO_GATES},
    "refresh": {"policy": "refresh"},
    "no_worse": {"policy": "no_worse"},
    "better": {"policy": "better"},
}
HARMED = 1.0  # points
FEW_ROWS = 2000  # of a block
NETWORKS = ("keras", "torch")


def next_score(registry: Path, version: str, stream: Stream, block: pl.DataFrame) -> float:
    """Points of a version on a block that it has not seen."""
    store = open_store(registry)
    model = load_version(store, store.read_card("m", version))
    table = clean(block.lazy(), model.contract, labelled=True).collect()
    return 100.0 * METRICS.load(stream.metric)(model.target(table), model.predict(table.frame))


@dataclass
class Tally:
    """What one policy did on one stream: points on each next block, and the promotions and refusals that were wrong."""

    points: list[float] = field(default_factory=list)
    promoted: int = 0
    wrong: int = 0
    updates: int = 0
    missed: int = 0


def adopt_model(stream: Stream, kind: str, seed: int, folder: Path) -> Path:
    """A registry that holds the stream's model alone; each policy starts from a copy of it."""
    file = deploy(stream, kind, seed, folder)
    registry = folder / "adopted"
    evermodel.adopt(
        file, data=stream.blocks[0], target=stream.target, name="m", registry=registry, **list_options(stream, kind)
    )
    return registry


def run_stream(stream: Stream, adopted: Path, seed: int, policy: str) -> Tally:
    """Updates the adopted model block by block by one policy."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(shutil.copytree(adopted, Path(folder) / "registry"))
        if policy == "never":
            tally.points = [next_score(registry, "v1", stream, block) for block in stream.blocks[2:]]
            tally.updates = len(tally.points)
            return tally
        for at in range(1, len(stream.blocks) - 1):
            done = evermodel.update("m", stream.blocks[at], registry=registry, seed=seed, **POLICIES[policy])
            after = stream.blocks[at + 1]
            scores = {v: next_score(registry, v, stream, after) for v in {done.in_service, done.champion}}
            tally.points.append(scores[done.in_service])
            tally.updates += 1
            if done.challenger is None:
                continue
            if done.challenger not in scores:
                scores[done.challenger] = next_score(registry, done.challenger, stream, after)
            gained = scores[done.challenger] - scores[done.champion]
            tally.promoted += done.decision == "promote"
            tally.wrong += done.decision == "promote" and gained < -HARMED
            tally.missed += done.decision != "promote" and gained > HARMED
    return tally


def is_apart(stream: Stream, kind: str) -> bool:
    """Whether one seed decides here: a network for regression on few rows a block."""
    network = kind in NETWORKS
    return network and stream.task == "regression" and min(b.height for b in stream.blocks[1:]) < FEW_ROWS


@dataclass
class Totals:
    """What every policy did on some streams."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    gaps: dict[str, list[float]] = field(default_factory=dict)

    def add(self, done: dict[str, Tally]) -> None:
        for policy, tally in done.items():
            self.gaps.setdefault(policy, []).append(float(np.mean(tally.points) - np.mean(done["always"].points)))
            total = self.tallies.setdefault(policy, Tally())
            for name in ("promoted", "wrong", "updates", "missed"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))

    def print(self, title: str) -> None:
        print(f"\n{title}: {len(self.gaps['always'])} runs, {self.tallies['always'].updates} updates")
        print(f"{'policy':<10}{'mean':>8}{'worst':>8}{'promoted':>10}{'wrong':>7}{'missed':>8}")
        for p, t in self.tallies.items():
            gaps = self.gaps[p]
            print(f"{p:<10}{np.mean(gaps):>+8.2f}{min(gaps):>+8.2f}{t.promoted:>10}{t.wrong:>7}{t.missed:>8}")


def compare_policies(
    kinds: list[str], streams: list[str], seeds: range, policies: tuple[str, ...], until: float
) -> None:
    """The table of policies, a row a stream and kind, then in all. Seeds outermost: a cut leaves whole ones."""
    judged, apart, cut = Totals(), Totals(), False
    for seed in seeds:
        for name in streams:
            stream = STREAMS[name]()
            for kind in kinds:
                if kind != "keras" and name == "traffic_signs":
                    continue
                if time.monotonic() > until:
                    cut = True
                    continue
                began = time.monotonic()
                with tempfile.TemporaryDirectory() as folder:
                    adopted = adopt_model(stream, kind, seed, Path(folder))
                    done = {p: run_stream(stream, adopted, seed, p) for p in policies}
                shown = "  ".join(
                    f"{p} {np.mean(t.points):6.2f} ({t.promoted}/{t.updates}, {t.wrong} wrong, {t.missed} missed)"
                    for p, t in done.items()
                )
                print(f"{name:<16}{kind:<10}{seed}  {shown}  {time.monotonic() - began:.0f} s", flush=True)
                (apart if is_apart(stream, kind) else judged).add(done)
    if cut:
        print("\nthe time was up before every run was made")
    if apart.gaps:
        apart.print(f"networks for regression on fewer than {FEW_ROWS:,} rows a block")
    if not judged.gaps:
        return
    judged.print("all others")
    if "no_worse" not in policies:
        return
    ours, always = judged.tallies["no_worse"], judged.tallies["always"]
    check("no_worse within .3 points of always in the mean", bool(np.mean(judged.gaps["no_worse"]) >= -0.3))
    check("no_worse promotes at most 85 % of what always does", ours.promoted <= 0.85 * always.promoted)
    check("no_worse promotes no more wrong ones", ours.wrong <= always.wrong)


def flip_labels(block: pl.DataFrame, stream: Stream, at: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """40 % of the labels of the rows ``at`` drawn anew from the others; numbers are shuffled."""
    hit = at & (rng.random(block.height) < 0.4)
    y = block[stream.target].to_numpy().copy()
    if stream.task == "regression":
        y[hit] = rng.permutation(y[hit])
    else:
        classes = np.unique(y)
        y[hit] = [rng.choice(classes[classes != v]) for v in y[hit]]
    return block.with_columns(pl.Series(stream.target, y).alias(stream.target))


def plant_in_learnt(block: pl.DataFrame, stream: Stream, rng: np.random.Generator) -> pl.DataFrame:
    return flip_labels(block, stream, np.arange(block.height) < 0.7 * block.height, rng)


def plant_everywhere(block: pl.DataFrame, stream: Stream, rng: np.random.Generator) -> pl.DataFrame:
    return flip_labels(block, stream, np.ones(block.height, dtype=bool), rng)


def rank_numbers(block: pl.DataFrame, stream: Stream) -> list[str]:
    """Columns of numbers, the most telling first."""
    skip = {stream.target, stream.adopting.get("time")}
    numbers = [c for c in block.columns if c not in skip and block[c].dtype.is_numeric()]
    y = block[stream.target].rank("dense").to_numpy()
    return sorted(numbers, key=lambda c: -abs(np.nan_to_num(np.corrcoef(block[c].fill_null(0).to_numpy(), y)[0, 1])))


def plant_broken_feature(block: pl.DataFrame, stream: Stream, rng: np.random.Generator) -> pl.DataFrame:
    """The three most telling numbers are shuffled in the rows that are learnt from."""
    cut, frame = int(0.7 * block.height), block
    for column in rank_numbers(block, stream)[:3]:
        values = frame[column].to_numpy().copy()
        values[:cut] = rng.permutation(values[:cut])
        frame = frame.with_columns(pl.Series(column, values))
    return frame


def plant_population(block: pl.DataFrame, stream: Stream, rng: np.random.Generator) -> pl.DataFrame:
    """The rows that are learnt from are drawn from those in the lower or upper third of the most telling number."""
    cut = int(0.7 * block.height)
    learnt = block[:cut].sort(rank_numbers(block, stream)[0], maintain_order=True)
    third = learnt[: cut // 3] if rng.random() < 0.5 else learnt[-(cut // 3) :]
    drawn = third[rng.integers(third.height, size=cut)]
    time_column = stream.adopting.get("time")
    if time_column:
        drawn = drawn.with_columns(block[:cut][time_column])
    return pl.concat([drawn.select(block.columns), block[cut:]])


HARMS: dict[str, tuple[Callable[..., pl.DataFrame] | None, dict[str, object]]] = {
    "wrong labels in the learnt part": (plant_in_learnt, {}),
    "wrong labels in the whole block": (plant_everywhere, {}),
    "a broken feature": (plant_broken_feature, {}),
    "rows of another population": (plant_population, {}),
    "a wrong learning rate": (None, {"strategy": "resume", "settings": {"epochs": 3, "learning_rate": 1.0}}),
    "trained far too long": (None, {"strategy": "resume", "settings": {"epochs": 300}}),
    "hardly trained at all": (None, {"strategy": "refit", "settings": {"epochs": 1}}),
}
FOR_NETWORKS = ("a wrong learning rate", "trained far too long", "hardly trained at all")


@dataclass(frozen=True)
class Harmed:
    """What a spoilt update did: whether it went into service, whether the next block scores worse than by the champion,
    and whether it does so because of what was spoilt: the same update with nothing spoilt is then better by a point.
    """

    promoted: bool = False
    worse: bool = False
    score: float = float("nan")
    caused: bool = False


def run_harm(harm: str, stream: Stream, kind: str, seed: int, at: int, policies: tuple[str, ...]) -> dict[str, Harmed]:
    """By policy: what a spoilt update did to the next block."""
    plant, more = HARMS[harm]
    rng = np.random.default_rng(seed)
    found: dict[str, Harmed] = {}
    with tempfile.TemporaryDirectory() as folder:
        start = adopt_model(stream, kind, seed, Path(folder))
        for earlier in range(1, at):
            evermodel.update("m", stream.blocks[earlier], registry=start, seed=seed, policy="refresh")
        sound, after = stream.blocks[at], stream.blocks[at + 1]
        block = sound if plant is None else plant(sound, stream, rng)

        def score_sound() -> float:
            """Of the version that the same update makes where nothing is spoilt."""
            registry = Path(shutil.copytree(start, Path(folder) / "sound"))
            done = evermodel.update("m", sound, registry=registry, seed=seed, **POLICIES["always"])
            return next_score(registry, done.in_service, stream, after)

        for policy in policies:
            registry = Path(shutil.copytree(start, Path(folder) / policy))
            try:
                done = evermodel.update("m", block, registry=registry, seed=seed, **{**POLICIES[policy], **more})
            except EvermodelError as error:
                print(f"    refused: {error.message}"[:150])
                found[policy] = Harmed()
                continue
            if done.in_service == done.champion:
                found[policy] = Harmed()
                continue
            before, now = (next_score(registry, v, stream, after) for v in (done.champion, done.in_service))
            found[policy] = Harmed(True, now < before - HARMED, now)
        if any(one.worse for one in found.values()):
            best = score_sound()
            found = {p: replace(one, caused=one.worse and one.score < best - HARMED) for p, one in found.items()}
    return found


def plant_harms(kinds: list[str], streams: list[str], n: int, first: int, until: float) -> None:
    """Each harm in turn, in the first update and in later ones; by no_worse, and with no gate at all."""
    made, caused = {"no_worse": 0, "always": 0}, {"no_worse": 0, "always": 0}
    caught: dict[str, list[int]] = {}
    for i in range(n):
        if time.monotonic() > until:
            print(f"\nthe time was up after {i} of {n} harms")
            break
        seed, began = first + i, time.monotonic()
        rng = np.random.default_rng(seed)
        harm = list(HARMS)[i % len(HARMS)]
        fitting = [k for k in kinds if k in NETWORKS] if harm in FOR_NETWORKS else kinds
        if not fitting:
            continue
        kind = str(rng.choice(fitting))
        stream = STREAMS[str(rng.choice([s for s in streams if s != "traffic_signs"]))]()
        at = int(rng.integers(1, min(4, len(stream.blocks) - 1)))
        outcome = run_harm(harm, stream, kind, seed, at, tuple(made))
        for p, one in outcome.items():
            made[p] += one.worse
            caused[p] += one.caused
        row = caught.setdefault(harm, [0, 0, 0, 0, 0])
        row[0] += 1
        for place, of in enumerate((outcome["always"], outcome["no_worse"])):
            row[1 + place] += of.worse
            row[3 + place] += of.caused
        told = "  ".join(f"{p} {describe_harmed(one)}" for p, one in outcome.items())
        spent = time.monotonic() - began
        print(f"{seed:>4} {harm:<34}{stream.name:<16}{kind:<10}block {at}  {told}  {spent:.0f} s", flush=True)
    print(f"\n{'':<44}{'worse next':>17}{'by the harm':>17}")
    print(f"{'harm':<36}{'planted':>8}{'always':>8}{'no_worse':>9}{'always':>8}{'no_worse':>9}")
    for harm, row in caught.items():
        print(f"{harm:<36}{row[0]:>8}{row[1]:>8}{row[2]:>9}{row[3]:>8}{row[4]:>9}")
    for what, counts in (("worse next", made), ("worse by the harm", caused)):
        share = counts["no_worse"] / max(1, counts["always"])
        check(f"{what}: always promotes {counts['always']}, no_worse promotes {counts['no_worse']}", share <= 0.05)


def describe_harmed(one: Harmed) -> str:
    words = "promoted" if one.promoted else "kept"
    return words + (" HARM" if one.caused else " worse, as a sound update is" if one.worse else "")


def check(what: str, passed: bool) -> None:
    print(f"{'PASS' if passed else 'FAIL'}  {what}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default=",".join(MAKERS))
    parser.add_argument("--streams", default=",".join(STREAMS))
    parser.add_argument("--policies", default="refresh,no_worse,better", help="beside always and never")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--harms", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    os.environ.setdefault("EVERMODEL_SANDBOX", "off")  # the bench's own files
    kinds, streams = given.kinds.split(","), given.streams.split(",")
    until = time.monotonic() + 60.0 * given.minutes
    if given.harms:
        plant_harms(kinds, streams, given.harms, given.first, until)
    else:
        policies = ("always", *given.policies.split(","), "never")
        compare_policies(kinds, streams, range(given.first, given.first + given.seeds), policies, until)


if __name__ == "__main__":
    main()
