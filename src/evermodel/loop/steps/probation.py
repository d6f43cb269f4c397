"""Holds a new champion against the former one on the same newly labelled rows; keeps it, or goes back."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.betting import added, e_value, log_wealth, ranking_losses, row_losses
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
from evermodel.loop.use import answer_codes
from evermodel.loop.versions import load_version

__all__ = ["probation"]
WORSE = 20.0  # e-value at which the former champion comes back: a good one is taken back in 5 % of probations at most
BETTER = 20.0  # and at which the new one has proved itself before its time


def probation(turn: Turn) -> Turn:
    """Compares losses row by row, with a test that may be looked at with every delivery (core/betting.py).

    Of classes their errors as well, of two classes how they rank. Worse beyond doubt, by the test of the policy's
    ``metric`` or the mean of all: the former champion serves again, and the rows that the other learnt from are set
    aside. Better beyond doubt by its loss, and by neither of the others worse, or the policy's ``probation`` is over:
    kept. Nothing happens where somebody has moved the champion.
    """
    on = turn.memory.probation
    if on is None:
        return turn
    if turn.store.at(turn.name, "champion") != on.version:
        return turn.remembering(probation=None).saying(f"probation of {on.version} ended: it no longer serves")
    turn, on = _compared(turn, on)
    turn = turn.remembering(probation=on)
    others = [e_value(wealth) for wealth in (on.errs, on.ranks) if wealth]
    worse = _worse(on, turn.policy.metric)
    better = e_value(on.better) if max(others, default=1.0) <= 1.0 else 1.0
    if worse >= WORSE:
        return _back(turn, on, worse)
    if better >= BETTER or turn.now >= on.until:
        why = f"better, e-value {better:.3g}" if better >= BETTER else "not shown worse"
        words = f"kept {on.version}: {why} than {on.former} on {on.rows:,} rows since"
        kept = turn.remembering(probation=None).happened("kept", version=on.version, was=on.former, reasons=[words])
        return kept.saying(words)
    return turn


def _worse(on: Probation, metric: str) -> float:
    """The e-value of "worse by ``metric``"; where the policy names none that is bet on, of "worse" by all together."""
    own = {"accuracy": on.errs, "auc": on.ranks}.get(metric)
    if own:
        return e_value(own)
    return float(np.mean([e_value(w) for w in (on.worse, on.errs, on.ranks) if w] or [1.0]))  # is such a test too


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
            y, p, q = was.target(rows), was.predict(rows.frame), now.predict(again.frame)
            d = _losses(y, q, scale) - _losses(y, p, scale)
            wrong = _wrong(now, y, q) - _wrong(was, y, p)
        except AskedWrongly:  # rows that do not fit were told of at intake
            continue
        if suspect:
            turn = turn.saying(f"{len(d):,} rows do not count for the probation of {on.version}: {'; '.join(suspect)}")
            continue
        on = _bet(on, d, wrong, y, p, q)
    return turn, on


def _bet(on: Probation, d: Array, wrong: Array, y: Array, p: Array, q: Array) -> Probation:
    """With the bets on further rows (n,): differences in loss ``d`` and in errors; ``p`` the former's."""
    worse, better = added(on.worse, log_wealth(d)), added(on.better, log_wealth(-d))
    on = dataclasses.replace(on, rows=on.rows + len(d), worse=worse, better=better)
    if p.ndim == 2:
        on = dataclasses.replace(on, errs=added(on.errs, log_wealth(wrong)))
    if p.ndim == 2 and p.shape[1] == q.shape[1] == 2:
        ranked = ranking_losses(y, p[:, 1], q[:, 1], on.rows)
        on = dataclasses.replace(on, ranks=added(on.ranks, log_wealth(ranked)))
    return on


def _wrong(model: Model, y: Array, p: Array) -> Array:
    """(n,) 1 where the model answers another class; nothing for numbers."""
    return np.zeros(len(y)) if p.ndim == 1 else (answer_codes(model, p) != y).astype(np.float64)


def _fitted(model: Model, frame: pl.DataFrame) -> Table:
    """The rows as the model expects them; a class it does not know has a code beyond its own."""
    found = difference(model.contract, frame.lazy())
    return clean(found.migrated(frame.lazy()), found.contract, labelled=True).collect()


def _losses(y: Array, p: Array, scale: float) -> Array:
    """(n,) loss of each row; 1 for a class that the model does not know."""
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
