"""Tunes, prunes and fuses a model in the order that pays; each step is a proposal to the same judge."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from evermodel.core.data.scan import collect, scan
from evermodel.core.errors import AskedWrongly, BadSetting, NoData
from evermodel.core.model.training import ignore_epoch
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.model_signature import RowFormat
from evermodel.core.records.search_record import PruningTrial, Trial
from evermodel.core.records.update_decision import UpdateDecision
from evermodel.core.records.verdict import Finding, Verdict
from evermodel.core.store import Store
from evermodel.judging.judge_request import JudgeRequest
from evermodel.judging.verdict_wording import describe_reason
from evermodel.registry.lookup import champion_of, open_store
from evermodel.registry.predictions.label import read_contract
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory
from evermodel.registry.serving_cost import ROWS, costs_of, size_of
from evermodel.registry.update_result import DECISION_WORDS, UpdateResult
from evermodel.registry.versions import load_version
from evermodel.searching.fuse import FuseRequest, fuse_versions
from evermodel.searching.prune.prune import PruneRequest, prune_model
from evermodel.searching.resumable_job import ResumableWork
from evermodel.searching.tune.tune import TuneRequest, TuneResult, tune_model
from evermodel.updating.remembered_rows import KNOWN, UNSEEN

Work = Callable[[Any], UpdateResult]  # rows -> the result of one step
logger = logging.getLogger(__name__)

Goal = Literal["better", "faster", "smaller"]
STEPS_OF_GOAL: dict[str, tuple[str, ...]] = {"better": ("tune", "fuse"), "faster": ("prune",), "smaller": ("prune",)}
SKIPPED = "skipped"
MOST_FUSED = 4  # versions that are fused: the champion and the newest others
TUNING_SHARE = 0.7  # of the budget, for the search
HALF = 0.5  # of the bytes, which "smaller" asks for
LEAST_ROWS = 60  # new rows that a step needs


@dataclass(frozen=True)
class Step:
    """One step: what it proposed, and what became of it."""

    strategy: str  # "tune", "prune", "fuse"
    decision: str  # an UpdateDecision, or "skipped"
    challenger: str | None
    metric: str = ""
    champion_score: float = float("nan")  # on the rows that judged this step
    challenger_score: float = float("nan")
    note: str = ""  # the reason that decided, or why the step was skipped
    seconds: float = 0.0


@dataclass(frozen=True)
class IterateResult(Result):
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
        head = f"{self.name}: {self.champion} -> {self.in_service} (goal: {self.goal})"
        steps = [_line(s) for s in self.steps]
        cost = (
            f"  costs    {1e3 * self.latency[0]:.3g} -> {1e3 * self.latency[1]:.3g} ms a batch, "
            f"{self.size[0]:,} -> {self.size[1]:,} bytes"
        )
        return [head, *steps, cost, f"  serving  {self.in_service}"]


def iterate(
    name: str,
    data: Any = None,
    *,
    goal: str = "better",
    budget: float | None = None,
    trials: int | None = None,
    keep_metric: float = 0.005,
    policy: str | None = None,
    accept: Collection[str] = (),
    resume: bool = False,
    seed: int = 0,
    registry: str | Path | None = None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    on_point: Callable[[PruningTrial], None] = lambda point: None,
    on_epoch: Callable[[Epoch], None] = ignore_epoch,
) -> IterateResult:
    """Improve the model in service: "better" tunes, then fuses; "faster" prunes what costs nothing, "smaller" half.

    Each step gets its own part of ``data``, oldest first, so that every judge sees rows nobody was trained on; a step
    that cannot be taken is skipped, and the result says why. ``policy`` is what the judge asks of a tuned or fused
    model. ``budget`` in seconds bounds the search; ``resume``
    continues an interrupted run: steps that were done are not done again. Raises BadSetting, NotFound, NoData.

        $ evermodel iterate churn april.csv --goal faster
    """
    began = time.monotonic()
    if goal not in get_args(Goal):
        raise BadSetting(f"goal must be one of {', '.join(get_args(Goal))}. Got {goal!r}.")
    store = open_store(registry)
    before = champion_of(store, name).version
    strategies = STEPS_OF_GOAL[goal]
    row_format = read_contract(store, name).row_format
    parts = _split_rows(data, len(strategies), row_format)
    key = [goal, trials, keep_metric, policy, seed, *(_digest(part, row_format) for part in parts)]
    unfinished = ResumableWork(store, name, "iterate", key, resume=resume)
    before = (unfinished.read("before") or {"version": before})["version"]
    unfinished.keep("before", {"version": before})
    judging = JudgeRequest(policy=policy)
    searching = TuneRequest(
        trials=trials,
        judge=judging,
        budget=None if budget is None else max(1.0, TUNING_SHARE * budget),
        resume=resume,
        accept=accept,
        seed=seed,
        on_trial=on_trial,
        on_epoch=on_epoch,
    )
    pruning = PruneRequest(
        size=HALF if goal == "smaller" else None,
        keep_metric=keep_metric,
        resume=resume,
        accept=accept,
        seed=seed,
        on_point=on_point,
        on_epoch=on_epoch,
    )
    fusing = FuseRequest(judge=judging, accept=accept, seed=seed, on_epoch=on_epoch)
    work: dict[str, Work] = {
        "tune": lambda rows: tune_model(store, name, rows, searching),
        "prune": lambda rows: prune_model(store, name, rows, pruning),
        "fuse": lambda rows: fuse_versions(store, name, _versions(store, name), rows, fusing),
    }
    steps = [
        _resume_step(unfinished, store, name, strategy, work[strategy], part)
        for strategy, part in zip(strategies, parts, strict=True)
    ]
    result = _summarize(store, name, goal, before, steps, began)
    unfinished.clear()
    return result


def _digest(rows: Any, row_format: RowFormat) -> str:
    return "" if rows is None else str(collect(scan(rows, row_format)).hash_rows(seed=0).sum())


def _resume_step(unfinished: ResumableWork, store: Store, name: str, strategy: str, work: Work, rows: Any) -> Step:
    """A step that an interrupted run had ended is as it was recorded; another is taken now."""
    record = unfinished.read(strategy)
    step = Step(**record) if record else _take_step(store, name, strategy, work, rows)
    if step.decision != SKIPPED:
        unfinished.keep(strategy, dataclasses.asdict(step))
    return step


def _split_rows(data: Any, count: int, row_format: RowFormat) -> list[Any]:
    """The new rows in consecutive parts of equal length, oldest first; None where there are none."""
    if data is None or count == 1:
        return [data] * count
    frame = collect(scan(data, row_format))
    if frame.height < LEAST_ROWS * count:
        raise NoData(
            f"{count} steps need at least {LEAST_ROWS * count} new rows. Got {frame.height}.", "Give more rows."
        )
    ends = [round(frame.height * i / count) for i in range(count + 1)]
    return [frame[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _versions(store: Store, name: str) -> list[str]:
    """The champion and the newest other versions. Raises AskedWrongly where there is none to fuse it with."""
    champion = champion_of(store, name).version
    others = [c.version for c in reversed(store.list_cards(name)) if c.version != champion and c.strategy != "wait"]
    if not others:
        raise AskedWrongly("There is one version only, and nothing to fuse it with.")
    return [champion, *others[: MOST_FUSED - 1]]


def _take_step(store: Store, name: str, strategy: str, work: Work, rows: Any) -> Step:
    """A step that cannot be taken is skipped, and the others go on; where the champion moved meanwhile all ends."""
    began = time.monotonic()
    try:
        result = work(rows)
    except AskedWrongly as error:
        logger.info("%s: %s is skipped", name, strategy, exc_info=True)
        return Step(strategy, SKIPPED, None, note=error.message, seconds=time.monotonic() - began)
    score = result.scores["new"][result.metric]
    record = store.read_card(name, result.challenger).update if result.challenger else None
    note = "" if record is None else _decisive_reason(record.verdict)
    if isinstance(result, TuneResult) and result.unbeaten:
        note = f"same hyperparameters, newer rows; {note}"
    if record is not None and record.data is not None and record.data.source in (KNOWN, UNSEEN):
        note = " ".join((*record.data_remarks, note))
    scores = score.champion, score.challenger
    return Step(strategy, result.decision, result.challenger, result.metric, *scores, note, result.seconds)


def _decisive_reason(verdict: Verdict) -> str:
    """The reason of the gate that decided: of a promotion the first with numbers behind it."""
    findings = (Finding.INVALID, Finding.FAIL, Finding.HOLD)
    worst = next((r for finding in findings for r in verdict.reasons if r.finding is finding), None)
    numbers = next((r for r in verdict.reasons if r.comparison is not None), None)
    decisive = worst or numbers
    return "" if decisive is None else describe_reason(decisive)


def _summarize(store: Store, name: str, goal: str, before: str, steps: Sequence[Step], began: float) -> IterateResult:
    """All steps together. Raises AskedWrongly where none could be taken."""
    taken = [step for step in steps if step.decision != SKIPPED]
    if not taken:
        raise AskedWrongly(f"No step could be taken: {'; '.join(step.note for step in steps)}")
    now = champion_of(store, name).version
    decision = UpdateDecision.PROMOTE if now != before else taken[-1].decision
    latency, size = _costs(store, name, before, now)
    last = next((step.challenger for step in reversed(taken) if step.challenger), None)
    seconds = time.monotonic() - began
    return IterateResult(name, goal, decision, before, last, now, tuple(steps), latency, size, seconds)


def _costs(store: Store, name: str, before: str, now: str) -> tuple[tuple[float, float], tuple[int, int]]:
    """What both versions cost on remembered rows, measured in turns."""
    models = [load_version(store, store.read_card(name, v)) for v in (before, now)]
    rows = read_memory(store, name).rows(store, models[1].contract)
    if rows is None:
        return (float("nan"), float("nan")), (size_of(models[0]), size_of(models[1]))
    a, b = costs_of(models, rows.frame[-ROWS:])
    return (a.latency, b.latency), (a.size, b.size)


def _line(step: Step) -> str:
    if step.decision == SKIPPED:
        return f"  {step.strategy:<9}skipped: {step.note}"
    scores = f"{step.metric} {step.champion_score:.4f} -> {step.challenger_score:.4f}"
    return f"  {step.strategy:<9}{DECISION_WORDS[step.decision]} {step.challenger}: {scores}  ({step.note})"
