"""Which way an update goes: a light one as a rule, a full training where evidence asks for it, within the budget."""

from __future__ import annotations

from dataclasses import dataclass

from evermodel.loop._maintain.memory import Remembered, shrinks
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.memory import read_memory

DAY = 86_400.0
TRIALS = 12


@dataclass(frozen=True)
class Way:
    """``light``: output or leaves learnt anew. ``lean``: one full training, finished lightly. ``tune``: a search."""

    name: str  # "light" | "lean" | "tune" | "wait"
    why: str
    seconds: float  # expected


def way(turn: Turn, month: str) -> Way:
    """The way that is asked for, or a cheaper one where the month's budget does not reach, or none."""
    memory, policy = turn.memory, turn.policy
    left = policy.budget - memory.spent.get(month, 0.0)
    blocks = read_memory(turn.store, turn.name).blocks
    known = sum(b.n_rows for b in blocks)
    trained = memory.full_rows or (blocks[0].n_rows if blocks else 0)
    asked, why = _asked(turn, memory, known, trained)
    order = {"tune": ("tune", "lean", "light"), "lean": ("lean", "light"), "light": ("light",)}[asked]
    for name in order:
        needed = expected(memory, name, known + memory.rows_ready, memory.rows_ready)
        if needed <= left:
            cheaper = "" if name == asked else f"; {asked} would not fit the {left:,.0f} compute seconds left"
            return Way(name, why + cheaper, needed)
    return Way("wait", f"{why}; {left:,.0f} compute seconds are left of {policy.budget:,.0f} this month", 0.0)


def expected(memory: Remembered, name: str, known: int, new: int) -> float:
    """Compute seconds, by what the same way took a row the last time; 0 where it was never gone."""
    rows = new if name == "light" else known
    rate = memory.rates.get(name)
    if rate is None:
        rate = memory.rates.get("lean", 0.0) * TRIALS if name == "tune" else 0.0
    return rate * rows


def _asked(turn: Turn, memory: Remembered, known: int, trained: int) -> tuple[str, str]:
    still = "still open after" in turn.job.why
    if still and shrinks(memory.gains):
        return "tune", "gains of full trainings shrink, and the alarm stays open"
    if still:
        return "lean", "a light update did not close the alarm"
    if "age:" in turn.job.why:
        return "lean", "the last full training is old"
    if trained and known + memory.rows_ready >= turn.policy.growth * trained:
        return "lean", f"{known + memory.rows_ready:,} rows are known, {trained:,} when last trained in full"
    return "light", "nothing asks for a full training"
