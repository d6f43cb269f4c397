"""Tune, prune and fuse in the order that pays, each step a challenger before the same judge; one account of it all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from evermodel.core.errors import AskedWrongly, BadSetting, NoData
from evermodel.core.reading import collect, scan
from evermodel.core.searching import Trial
from evermodel.core.store import Store
from evermodel.core.training import Epoch, ignore_epoch
from evermodel.loop._prune.points import Point
from evermodel.loop.costs import ROWS, costs_of, size_of
from evermodel.loop.fuse import fuse
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.memory import read_memory
from evermodel.loop.prune import prune
from evermodel.loop.results import Shown, Updated
from evermodel.loop.tune import Tuned, tune
from evermodel.loop.unfinished import Unfinished
from evermodel.loop.versions import load_version

Goal = Literal["better", "faster", "smaller"]
ROOMS: dict[str, tuple[str, ...]] = {"better": ("tune", "fuse"), "faster": ("prune",), "smaller": ("prune",)}
FUSED = 4  # versions at most that are fused: the champion and the newest others
TUNING = 0.7  # of the time there is, for the search
HALF = 0.5  # of the bytes, which "smaller" asks for
LEAST = 60  # rows a step needs to be worth a part of the new rows


@dataclass(frozen=True)
class Step:
    """One room's turn: what it made, and what became of it."""

    change: str  # "tune", "prune", "fuse"
    decision: str  # "promote" | "hold" | "reject" | "invalid" | "skipped"
    challenger: str | None
    metric: str = ""
    champion_score: float = float("nan")  # on the rows that judged this step
    challenger_score: float = float("nan")
    says: str = ""  # the first reason, or why it was skipped
    seconds: float = 0.0


@dataclass(frozen=True)
class Iterated(Shown):
    """What all steps together did. ``decision``: promote where any step's challenger went into service."""

    name: str
    goal: str
    decision: str
    champion: str  # in service before
    challenger: str | None  # the last version that a step made
    in_service: str
    steps: tuple[Step, ...]
    latency: tuple[float, float] = (float("nan"), float("nan"))  # seconds a batch, before and after
    size: tuple[int, int] = (0, 0)  # bytes, before and after
    seconds: float = 0.0

    def lines(self) -> list[str]:
        head = f"{self.name}: {self.champion} -> {self.in_service} (asked: {self.goal})"
        steps = [_line(s) for s in self.steps]
        cost = f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, " \
               f"{self.size[0]:,} -> {self.size[1]:,} bytes"  # fmt: skip
        return [head, *steps, cost, f"  serving  {self.in_service}"]


def iterate(
    name: str,
    data: Any = None,
    *,
    goal: str = "better",
    budget: float | None = None,
    trials: int | None = None,
    keep_metric: float = 0.005,
    accept: Collection[str] = (),
    resume: bool = False,
    seed: int = 0,
    home: str | Path | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_point: Callable[[Point], None] = lambda point: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> Iterated:
    """Improve the model in service: "better" tunes, then fuses; "faster" prunes what costs nothing, "smaller" half.

    Each step gets its own part of ``data``, oldest first, so that every judge sees rows nobody was trained on; a step
    that cannot be taken is skipped, and the account says why. ``budget`` in seconds bounds the search; ``resume`` goes
    on where the same was interrupted: steps that were done are not done again. Raises BadSetting, NotFound, NoData.

        $ evermodel iterate churn april.csv --goal faster
    """
    began = time.monotonic()
    if goal not in get_args(Goal):
        raise BadSetting(f"goal must be one of {', '.join(get_args(Goal))}. Got {goal!r}.")
    store = open_home(home)
    before = champion_of(store, name).version
    rooms = ROOMS[goal]
    parts = _parts(data, len(rooms))
    key = [goal, trials, keep_metric, seed, *map(_digest, parts)]
    unfinished = Unfinished(store, name, "iterate", key, resume=resume)
    before = (unfinished.told("before") or {"version": before})["version"]
    unfinished.keep("before", {"version": before})
    told: dict[str, Any] = {"accept": accept, "seed": seed, "home": home, "on_epoch": on_epoch}
    searching: dict[str, Any] = {"trials": trials, "on_trial": on_trial}
    searching["budget"] = None if budget is None else max(1.0, TUNING * budget)
    pruning: dict[str, Any] = {"size": HALF if goal == "smaller" else None, "keep_metric": keep_metric}
    pruning["on_point"] = on_point
    work: dict[str, Callable[[Any], Updated]] = {
        "tune": lambda rows: tune(name, rows, resume=resume, **searching, **told),
        "prune": lambda rows: prune(name, rows, resume=resume, **pruning, **told),
        "fuse": lambda rows: fuse(name, _versions(store, name), data=rows, **told),
    }
    steps = [_once(unfinished, store, name, room, work[room], part) for room, part in zip(rooms, parts, strict=True)]
    account = _account(store, name, goal, before, steps, began)
    unfinished.clear()
    return account


def _digest(rows: Any) -> str:
    return "" if rows is None else str(collect(scan(rows)).hash_rows(seed=0).sum())


def _once(
    unfinished: Unfinished, store: Store, name: str, room: str, work: Callable[[Any], Updated], rows: Any
) -> Step:
    """A step that an interrupted run had ended is as it was told."""
    told = unfinished.told(room)
    step = Step(**told) if told else _tried(store, name, room, work, rows)
    if step.decision != "skipped":
        unfinished.keep(room, dataclasses.asdict(step))
    return step


def _parts(data: Any, count: int) -> list[Any]:
    """The new rows in consecutive parts of equal length, oldest first; None where there are none."""
    if data is None or count == 1:
        return [data] * count
    frame = collect(scan(data))
    if frame.height < LEAST * count:
        raise NoData(f"{count} steps need at least {LEAST * count} new rows. Got {frame.height}.", "Give more rows.")
    ends = [round(frame.height * i / count) for i in range(count + 1)]
    return [frame[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _versions(store: Store, name: str) -> list[str]:
    """The champion and the newest other versions. Raises AskedWrongly where there is none to fuse it with."""
    champion = champion_of(store, name).version
    others = [c.version for c in reversed(store.cards(name)) if c.version != champion and c.change != "wait"]
    if not others:
        raise AskedWrongly("There is one version only, and nothing to fuse it with.")
    return [champion, *others[: FUSED - 1]]


def _tried(store: Store, name: str, room: str, work: Callable[[Any], Updated], rows: Any) -> Step:
    """A step that cannot be taken is told, and the others go on; somebody else's move ends all."""
    began = time.monotonic()
    try:
        done = work(rows)
    except AskedWrongly as error:
        return Step(room, "skipped", None, says=error.message, seconds=time.monotonic() - began)
    score = done.scores["new"][done.metric]
    says = _decisive(store.card(name, done.challenger).verdict) if done.challenger else ""
    if isinstance(done, Tuned) and done.unbeaten:
        says = f"same hyperparameters, newer rows; {says}"
    return Step(room, done.decision, done.challenger, done.metric, score.champion, score.challenger, says, done.seconds)


def _decisive(verdict: Mapping[str, Any]) -> str:
    """The reason of the gate that decided: of a promotion the first with numbers behind it."""
    reasons: Sequence[Mapping[str, Any]] = verdict.get("reasons") or ()
    worst = next((r for f in ("invalid", "fail", "hold") for r in reasons if r.get("finding") == f), None)
    numbers = next((r for r in reasons if r.get("comparison")), None)
    return str((worst or numbers or {}).get("text", ""))


def _account(store: Store, name: str, goal: str, before: str, steps: Sequence[Step], began: float) -> Iterated:
    if all(s.decision == "skipped" for s in steps):
        raise AskedWrongly(f"No step could be taken: {'; '.join(s.says for s in steps)}")
    now = champion_of(store, name).version
    done = [s for s in steps if s.decision != "skipped"]
    decision = "promote" if now != before else done[-1].decision
    latency, size = _costs(store, name, before, now)
    last = next((s.challenger for s in reversed(done) if s.challenger), None)
    spent = time.monotonic() - began
    return Iterated(name, goal, decision, before, last, now, tuple(steps), latency, size, spent)


def _costs(store: Store, name: str, before: str, now: str) -> tuple[tuple[float, float], tuple[int, int]]:
    """What both versions cost on remembered rows, measured in turns."""
    models = [load_version(store, store.card(name, v)) for v in (before, now)]
    rows = read_memory(store, name).rows(store, models[1].contract)
    if rows is None:
        return (float("nan"), float("nan")), (size_of(models[0]), size_of(models[1]))
    a, b = costs_of(models, rows.frame[-ROWS:])
    return (a.latency, b.latency), (a.size, b.size)


def _line(s: Step) -> str:
    said = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "not judged"}
    if s.decision == "skipped":
        return f"  {s.change:<9}skipped: {s.says}"
    scores = f"{s.metric} {s.champion_score:.4f} -> {s.challenger_score:.4f}"
    return f"  {s.change:<9}{said[s.decision]} {s.challenger}: {scores}  ({s.says})"
