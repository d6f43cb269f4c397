"""An update that is due: the way chosen, the caps kept, its effect and its end one transaction."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evermodel.core.errors import AskedWrongly, ContractBroken, EvermodelError, NoData
from evermodel.core.job import Done
from evermodel.core.spans import bytes_of
from evermodel.core.store import Card, Event, Move
from evermodel.loop._maintain.fenced import fenced
from evermodel.loop._maintain.memory import ALIAS, Delivery, Owed, Probation, Remembered, Rows, get_rows, keep
from evermodel.loop._maintain.turn import Turn
from evermodel.loop._maintain.way import TRIALS, Way, way
from evermodel.loop.costs import costs_of
from evermodel.loop.home import champion_of
from evermodel.loop.memory import read_memory
from evermodel.loop.prepare import prepare
from evermodel.loop.record import KINDS
from evermodel.loop.steps.triggers import key
from evermodel.loop.update import update
from evermodel.loop.versions import load_version
from evermodel.loop.watching import status

Ended = Callable[[Turn], Mapping[str, Any]]


def run_update(turn: Turn) -> Turn | None:
    """Makes and judges a challenger of the rows that are ready. None where the store has the job's end already."""
    ready, least = turn.memory.rows_ready, turn.policy.min_rows
    if ready < least:
        words = f"nothing to learn from yet: {ready:,} labelled rows of {least:,} needed"
        return turn.remembering(starved=True).saying(words, decision="waits")
    chosen = way(turn, month_of(turn.now))
    turn = turn.saying(f"{chosen.name}: {chosen.why}", way=chosen.name)
    if chosen.name == "wait":
        return turn.saying(decision="waits")
    try:
        return _made(turn, chosen)
    except ContractBroken as error:
        left = _fitting(turn)
        if left.memory.rows_ready == ready or left.memory.rows_ready < least:
            return left.saying(f"not updated: {error.message}", decision="refused")
        return _made(left, chosen)
    except NoData as error:  # all of them were known before
        return turn.remembering(ready=()).saying(f"nothing new: {error.message}", decision="nothing new")
    except AskedWrongly as error:
        return turn.saying(f"not updated: {error.message}", decision="refused")


def _made(turn: Turn, chosen: Way) -> Turn | None:
    began = time.process_time()
    ending = Ends(turn, chosen, began)
    home: Any = fenced(turn.store, turn.job, ending)
    rows = get_rows(turn.store, turn.memory.ready)
    rows = rows.drop([c for c in (turn.policy.id,) if c in rows.columns and c not in _inputs(turn)])
    metric = turn.policy.metric or None
    turn.progress(f"{chosen.name} update on {rows.height:,} rows")
    if chosen.name == "tune":
        from evermodel.loop.tune import tune

        left = turn.policy.budget - turn.memory.spent.get(month_of(turn.now), 0.0)
        tune(turn.name, rows, trials=TRIALS, budget=max(1.0, left), metric=metric, home=home)
    else:
        update(turn.name, rows, with_=chosen.name, metric=metric, home=home)
    return None


def _inputs(turn: Turn) -> tuple[str, ...]:
    return tuple(load_version(turn.store, champion_of(turn.store, turn.name)).contract.names)


def _fitting(turn: Turn) -> Turn:
    """Without the deliveries that do not fit the model by themselves, else without the one that spoils the others."""
    parts = turn.memory.ready
    why = [_misfit(turn, (part,)) for part in parts]
    if not any(why) and len(parts) > 1:  # together they do not: whose absence mends it, if it is one's alone?
        mends = [i for i in range(len(parts)) if not _misfit(turn, parts[:i] + parts[i + 1 :])]
        if len(mends) == 1:
            why[mends[0]] = f"The other rows fit the model, with these they do not. {_misfit(turn, parts)}"
    for part, reason in zip(parts, why, strict=True):
        if reason:
            refused = Delivery("rows taken in before", "rows", part.blob, turn.now, part.rows, reason)
            turn = turn.remembering(deliveries=(*turn.memory.deliveries, refused)).saying(reason)
            turn = turn.happened("delivery refused", source=refused.source, rows=part.blob, reasons=[reason])
    return turn.remembering(ready=tuple(p for p, reason in zip(parts, why, strict=True) if not reason))


def _misfit(turn: Turn, parts: tuple[Rows, ...]) -> str:
    """Why rows cannot be held against the model; nothing where they can, or where something else is wrong with them."""
    try:
        prepare(turn.store, turn.name, get_rows(turn.store, parts))
    except ContractBroken as error:
        return error.message
    except EvermodelError:
        return ""
    return ""


@dataclasses.dataclass(frozen=True)
class Ends:
    """Turns the move that an update makes into the end of its job, within what the policy allows."""

    turn: Turn
    way: Way
    began: float

    def __call__(
        self, moves: Sequence[Move], events: Sequence[Event]
    ) -> tuple[Sequence[Move], Sequence[Event], Done] | None:
        verdict = next((e for e in events if e.kind in KINDS.values()), None)
        if verdict is None:
            return None
        turn, version = self.turn, str(verdict.facts["version"])
        words: list[str] = []
        memory = turn.memory
        if verdict.kind == "promoted":
            words = against_policy(turn, version, verdict.facts)
            if words:
                verdict = dataclasses.replace(
                    verdict, kind="waits for approval", facts={**verdict.facts, "policy": words}
                )
                moves = [m if m.alias != "champion" else dataclasses.replace(m, to=str(m.expect)) for m in moves]
                memory = dataclasses.replace(memory, pending=pending(verdict, turn))
            else:
                memory = dataclasses.replace(
                    memory, probation=probation_of(turn, version, str(verdict.facts["champion"]))
                )
        seconds = time.process_time() - self.began
        memory = self._after(memory, verdict, seconds)
        outcome = {
            **turn.facts, "said": [*turn.said, *verdict.facts["reasons"], *words], "decision": verdict.kind,
            "version": version, "change": verdict.facts["change"], "compute_seconds": seconds,
            "training_seconds": verdict.facts["training_processor_seconds"],
        }  # fmt: skip
        moves = [*moves, Move(ALIAS, keep(turn.store, memory), turn.digest)]
        others = [e for e in events if e.kind not in KINDS.values()]
        return moves, [*turn.events, *others, verdict], Done(turn.job, outcome, turn.due)

    def _after(self, memory: Remembered, verdict: Event, seconds: float) -> Remembered:
        turn, known = self.turn, sum(b.n_rows for b in read_memory(self.turn.store, self.turn.name).blocks)
        ready = memory.rows_ready
        rows = ready if self.way.name == "light" else known + ready
        home: Any = turn.store
        opened = status(turn.name, home=home).open
        alarms = {key(a): _heavier(memory.answered.get(key(a)), self.way.name) for a in opened}
        memory = memory.heavier(month_of(turn.now), seconds)
        memory = dataclasses.replace(
            memory, ready=(), updated=turn.now, starved=False, answered=alarms,
            rates={**memory.rates, self.way.name: seconds / max(rows, 1)},
        )  # fmt: skip
        gain = verdict.facts.get("evidence", {})
        sign = 1.0 if gain.get("higher_is_better", True) else -1.0
        lost = any(a.name == "quality" for a in opened) and sign * (memory.judged[0] - memory.judged[1]) > 0
        memory = dataclasses.replace(memory, owed=owed(memory, self.way.name, known, ready, lost))
        if self.way.name == "light":
            return memory
        won = 100.0 * sign * float(gain.get("difference") or 0.0)
        gains = (*memory.gains, won) if math.isfinite(won) else memory.gains
        return dataclasses.replace(memory, full=turn.now, full_rows=rows, gains=gains[-12:])


def _heavier(before: str | None, way: str) -> str:
    """The heaviest way by which an alarm was answered so far."""
    return max(before or way, way, key=("light", "lean", "tune").index)


def owed(memory: Remembered, way: str, known: int, ready: int, lost: bool) -> Owed | None:
    """What is to be won back after an update by ``way`` on ``ready`` rows more than ``known``."""
    tried = 0 if way == "light" else known + ready
    if memory.owed is not None:
        heaviest = _heavier(memory.owed.way, way)
        return dataclasses.replace(memory.owed, way=heaviest, tried=tried or memory.owed.tried, short=False)
    return Owed(*memory.judged, way, known, tried) if lost else None


def against_policy(turn: Turn, version: str, facts: Mapping[str, Any]) -> list[str]:
    """Why a version may not be promoted unattended; nothing where it may."""
    policy = turn.policy
    if policy.promote != "auto":
        return [f"the policy's promote is {policy.promote!r}: a person decides"]
    found, evidence = [], facts.get("evidence", {})
    lost = -100.0 * float(evidence.get("difference") or 0.0) * (1 if evidence.get("higher_is_better", True) else -1)
    if math.isfinite(lost) and lost > policy.max_points:
        found.append(f"it loses {lost:.2f} points on the judged rows; unattended at most {policy.max_points:g}")
    cards = [turn.store.card(turn.name, v) for v in (str(facts["champion"]), version)]
    was, now = (_cost(turn, card) for card in cards)
    if now[0] > policy.max_latency * was[0]:
        found.append(
            f"it takes {now[0] / was[0]:.1f} times the champion's time; unattended at most {policy.max_latency:g}"
        )
    if now[1] > bytes_of(policy.max_size, "max_size"):
        found.append(f"it is {now[1]:,} bytes large; unattended at most {policy.max_size}")
    return found


def _cost(turn: Turn, card: Card) -> tuple[float, int]:
    model = load_version(turn.store, card)
    rows = read_memory(turn.store, turn.name).rows(turn.store, model.contract)
    if rows is None:
        return 1.0, 0
    cost = costs_of([model], rows.frame, repeats=5)[0]
    return max(cost.latency, 1e-6), cost.size


def pending(verdict: Event, turn: Turn) -> Mapping[str, Any]:
    """What ``evermodel approve`` needs to know."""
    return {"version": verdict.facts["version"], "champion": verdict.facts["champion"], "since": turn.now,
            "reasons": list(verdict.facts["reasons"]), "policy": list(verdict.facts["policy"])}  # fmt: skip


def probation_of(turn: Turn, version: str, champion: str) -> Probation | None:
    """The new champion beside the former; beside the one before it where that looks better so far."""
    on, until = turn.memory.probation, turn.now + turn.policy.seconds("probation")
    block = read_memory(turn.store, turn.name).next_number
    if on is not None and on.version == champion and sum(on.worse) > 0:
        return Probation(version, on.former, until, on.block)
    return Probation(version, champion, until, block)


def month_of(now: float) -> str:
    return dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m")
