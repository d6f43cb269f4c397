"""Holds a new champion against the former one on the same newly labelled rows; keeps it, or goes back."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.betting import added, e_value, log_wealth, row_losses
from evermodel.core.cleaning import clean
from evermodel.core.difference import difference
from evermodel.core.errors import AskedWrongly
from evermodel.core.model import Model
from evermodel.core.store import Move
from evermodel.core.table import Array, Table
from evermodel.loop._maintain.memory import Probation
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.arrival import suspicions, without_copies
from evermodel.loop.memory import Memory, read_memory, write_memory
from evermodel.loop.record import MOST_ASIDE
from evermodel.loop.versions import load_version

__all__ = ["probation"]
WORSE = 20.0  # e-value at which the former champion comes back: a good one is taken back in 5 % of probations at most
BETTER = 20.0  # and at which the new one has proved itself before its time


def probation(turn: Turn) -> Turn:
    """Compares losses row by row, with a test that may be looked at with every delivery (core/betting.py).

    Worse beyond doubt: the former champion serves again, and the rows that the other learnt from are set aside. Better
    beyond doubt, or the policy's ``probation`` is over: kept. Nothing happens where somebody has moved the champion.
    """
    on = turn.memory.probation
    if on is None:
        return turn
    if turn.store.at(turn.name, "champion") != on.version:
        return turn.remembering(probation=None).saying(f"probation of {on.version} ended: it no longer serves")
    turn, on = _compared(turn, on)
    turn = turn.remembering(probation=on)
    worse, better = e_value(on.worse), e_value(on.better)
    if worse >= WORSE:
        return _back(turn, on, worse)
    if better >= BETTER or turn.now >= on.until:
        why = f"better, e-value {better:.3g}" if better >= BETTER else "not shown worse"
        words = f"kept {on.version}: {why} than {on.former} on {on.rows:,} rows since"
        kept = turn.remembering(probation=None).happened("kept", version=on.version, was=on.former, reasons=[words])
        return kept.saying(words)
    return turn


def _compared(turn: Turn, on: Probation) -> tuple[Turn, Probation]:
    """Both champions on the rows that came; not on rows that are suspect to the former one, which has proved itself."""
    if not turn.fresh:
        return turn, on
    now, was = (load_version(turn.store, turn.store.card(turn.name, v)) for v in (on.version, on.former))
    scale, known = _scale(turn, now), read_memory(turn.store, turn.name).rows(turn.store, was.contract)
    for frame in turn.fresh:
        try:
            rows, again = (without_copies(_fitted(m, frame), known)[0] for m in (was, now))
            suspect = suspicions(was, rows, np.arange(len(rows)) >= 0.7 * len(rows), known)
            d = _losses(now, again, scale) - _losses(was, rows, scale)
        except AskedWrongly:  # rows that do not fit were told of at intake
            continue
        if suspect:
            turn = turn.saying(f"{len(d):,} rows do not count for the probation of {on.version}: {'; '.join(suspect)}")
            continue
        on = dataclasses.replace(
            on,
            rows=on.rows + len(d),
            worse=added(on.worse, log_wealth(d)),
            better=added(on.better, log_wealth(-d)),
        )
    return turn, on


def _fitted(model: Model, frame: pl.DataFrame) -> Table:
    """The rows as the model expects them; a class it does not know has a code beyond its own."""
    found = difference(model.contract, frame.lazy())
    return clean(found.migrated(frame.lazy()), found.contract, labelled=True).collect()


def _losses(model: Model, rows: Table, scale: float) -> Array:
    """(n,) loss of each row; 1 for a class that the model does not know."""
    y = model.target(rows)
    p = model.predict(rows.frame)
    known = y < p.shape[1] if p.ndim == 2 else np.isfinite(y)
    loss = np.ones(len(y))
    loss[known] = row_losses(y[known], p[known], scale)
    return loss


def _scale(turn: Turn, model: Model) -> float:
    """The spread of a number to be predicted, on rows known before; 1 for classes."""
    if model.contract.task != "regression":
        return 1.0
    rows = read_memory(turn.store, turn.name).rows(turn.store, model.contract)
    return 1.0 if rows is None else float(np.nanstd(model.target(rows)))


def _back(turn: Turn, on: Probation, worse: float) -> Turn:
    memory = read_memory(turn.store, turn.name)
    learnt = [b for b in memory.blocks if b.number >= on.block]
    aside = (*memory.aside, *(b.rows for b in learnt if b.n_rows))[-MOST_ASIDE:]
    left = tuple(b for b in memory.blocks if b.number < on.block)
    kept = write_memory(turn.store, Memory(left, aside, memory.classes))
    words = f"went back to {on.former}: {on.version} is worse on the same {on.rows:,} rows since (e-value {worse:.3g})"
    turn = turn.remembering(probation=None).saying(words)
    moves = (Move("champion", on.former, on.version), Move("memory", kept.digest, memory.digest))
    turn = dataclasses.replace(turn, moves=(*turn.moves, *moves))
    return turn.happened("rolled back", version=on.former, was=on.version, by="probation", reasons=[words])
