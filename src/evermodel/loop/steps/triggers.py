"""Is there a reason to update now? Each reason in words, so that it can be read afterwards."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from evermodel.core import plugs
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.job import Job
from evermodel.core.monitoring import Alarm, Monitored
from evermodel.loop._maintain.memory import Owed, shrinks
from evermodel.loop._maintain.planning import policy_of
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.home import champion_of
from evermodel.loop.memory import read_memory
from evermodel.loop.watching import status

__all__ = ["triggers"]
DAY = 86_400.0
RECOVERED = 0.5  # share of a lost point that an update is taken to win back


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the triggers look at."""

    turn: Turn
    monitored: Monitored

    @property
    def late(self) -> int:
        return sum(r.rows for r in self.turn.memory.ready if r.late)

    def alarms(self, *names: str) -> list[Alarm]:
        """Open ones that no update has answered yet."""
        done = self.turn.memory.answered
        return [a for a in self.monitored.open if a.name in names and key(a) not in done]


def triggers(turn: Turn) -> Turn:
    """Adds an update where something asks for one and there are rows to learn from; says what asked."""
    home: Any = turn.store
    seen = Seen(turn, status(turn.name, home=home))
    reasons = [f"{name}: {why}" for name in turn.policy.triggers for why in RULES.get(name, nothing)(seen)]
    if not reasons:
        return turn
    ready, least = turn.memory.rows_ready, turn.policy.min_rows
    if ready < least:
        waits = f"asked for an update, which waits: {ready:,} labelled rows of {least:,} needed"
        return turn.saying(waits, *reasons)
    if any(j.kind == "update" for j in turn.store.jobs(turn.name, states=("due", "running"))):
        return turn.saying("an update is due already", *reasons)
    asked = Job(turn.name, "update", turn.job.due, "; ".join(reasons))
    return dataclasses.replace(turn.saying(*reasons), due=(*turn.due, asked))


def nothing(seen: Seen) -> Iterator[str]:
    yield from ()


def quality(seen: Seen) -> Iterator[str]:
    for alarm in seen.alarms("quality"):
        yield f"the model errs more since {alarm.since} ({alarm.cause}; e-value {alarm.evidence:.3g})"
    memory = seen.turn.memory
    heavier = {"light": "a light update", "lean": "a full training" if shrinks(memory.gains) else "", "tune": ""}
    for alarm in seen.monitored.open:
        after = heavier.get(memory.answered.get(key(alarm), ""), "")
        if alarm.name == "quality" and after and seen.turn.now > memory.updated:
            yield f"the alarm of {alarm.subject} since {alarm.since} is still open after {after}"
    if memory.owed is not None and memory.owed.short:
        yield from unpaid(seen, memory.owed, heavier[memory.owed.way])


def unpaid(seen: Seen, owed: Owed, after: str) -> Iterator[str]:
    """A new version's alarms begin at its own level, however low: what was lost is held against what came back."""
    known = sum(b.n_rows for b in read_memory(seen.turn.store, seen.turn.name).blocks) + seen.turn.memory.rows_ready
    after = after or ("a full training" if owed.way != "light" and owed.again(known) else "")
    if after:
        now = seen.turn.memory.judged[1]
        yield f"a loss from {owed.before:.4f} to {owed.after:.4f} is still open after {after}: {now:.4f}"


def drift(seen: Seen) -> Iterator[str]:
    """Only of columns that the model depends on much, or of what it answers."""
    for alarm in seen.alarms("drift"):
        if alarm.level == "critical":
            yield f"{alarm.subject} changed since {alarm.since}: {alarm.cause}"


def rows(seen: Seen) -> Iterator[str]:
    wanted, ready = seen.turn.policy.rows, seen.turn.memory.rows_ready
    if wanted and ready >= wanted:
        yield f"{ready:,} new labelled rows, {wanted:,} call for an update"


def labels(seen: Seen) -> Iterator[str]:
    if seen.turn.memory.starved and seen.late >= seen.turn.policy.min_rows:
        yield f"the labels of {seen.late:,} rows have come, for which the last update waited"


def age(seen: Seen) -> Iterator[str]:
    """Where maintenance never trained in full, the model is at least as old as its policy."""
    last = seen.turn.memory.full or policy_of(seen.turn.store, seen.turn.name)[1].timestamp()
    if seen.turn.now - last > seen.turn.policy.seconds("age"):
        yield f"the last full training is {(seen.turn.now - last) / DAY:.0f} days old"


def cost(seen: Seen) -> Iterator[str]:
    """What is lost while nothing is done, against what training costs."""
    policy, (then, now) = seen.turn.policy, seen.turn.memory.judged
    metric = policy.metric or metric_of(champion_of(seen.turn.store, seen.turn.name).scores)
    lost = 100.0 * (then - now) * (1 if not policy.metric or plugs.module("metrics", metric).HIGHER_IS_BETTER else -1)
    if not policy.point_value or not lost > 0:
        return
    days = policy.seconds("horizon") / DAY
    volume = policy.volume or watched_volume(seen.monitored)
    worth = RECOVERED * lost * policy.point_value * volume / 1_000 * days
    seconds = max(seen.turn.memory.rates.values(), default=0.0) * max(seen.turn.memory.rows_ready, 1)
    price = seconds * policy.second_cost
    if worth > price:
        yield (
            f"{lost:.1f} points of {metric} lost; winning half back is worth {worth:,.2f} over "
            f"{days:.0f} days ({volume:,.0f} predictions a day), an update costs {price:,.2f}"
        )


def watched_volume(monitored: Monitored) -> float:
    """Predictions a day of the newest windows that have dates; 0 where that is not known."""
    sizes = [w.rows for w in monitored.windows if not w.slice and not w.start.isdigit()][-14:]
    return sum(sizes) / len(sizes) if sizes and not math.isnan(sum(sizes)) else 0.0


def metric_of(scores: Any) -> str:
    told = scores.get("new") or scores.get("reference") or {}
    return next((m for m in DEFAULT_METRIC.values() if m in told), "score")


def key(alarm: Alarm) -> str:
    return f"{alarm.name}:{alarm.subject}@{alarm.since}"


RULES: dict[str, Callable[[Seen], Iterator[str]]] = {
    "quality": quality, "drift": drift, "rows": rows, "labels": labels, "age": age, "cost": cost,
}  # fmt: skip
