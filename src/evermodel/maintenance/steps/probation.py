"""Holds a new champion against the former one on the same newly labelled rows; keeps it, or goes back."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.data.table import Table
from evermodel.core.errors import AskedWrongly
from evermodel.core.model.model import Model
from evermodel.core.records.event import Actor, ChampionMoved, EventKind
from evermodel.core.stats.paired_e_process import add_wealth, compute_log_wealth, e_value, ranking_losses, row_losses
from evermodel.core.store import Move
from evermodel.maintenance.job_context import JobContext
from evermodel.maintenance.maintenance_state import Probation
from evermodel.registry.prediction import class_codes
from evermodel.registry.row_memory import RowMemory, read_memory, write_memory
from evermodel.registry.versions import load_version
from evermodel.updating.commit import MOST_QUARANTINED
from evermodel.updating.incoming_rows import drop_copies, find_suspicions

__all__ = ["probation"]
WORSE = 20.0  # e-value at which the former champion comes back: a good one is taken back in 5 % of probations at most
BETTER = 20.0  # and at which the new one has proved itself before its time


def probation(context: JobContext) -> JobContext:
    """Compares losses row by row, with a test that may be looked at with every delivery
    (core/stats/paired_e_process.py).

    Of classes their errors as well, of two classes how they rank. Worse beyond doubt, by the test of the policy's
    ``metric`` or the mean of all: the former champion serves again, and the rows that the other learnt from are set
    aside. Better beyond doubt by its loss, and by neither of the others worse, or the policy's ``probation`` is over:
    kept. Nothing happens where somebody has moved the champion.
    """
    on = context.state.probation
    if on is None:
        return context
    if context.store.resolve_alias(context.name, "champion") != on.version:
        return context.with_state(probation=None).with_note(f"probation of {on.version} ended: it no longer serves")
    context, on = _compared(context, on)
    context = context.with_state(probation=on)
    others = [e_value(wealth) for wealth in (on.errs, on.ranks) if wealth]
    worse = _worse(on, context.policy.metric)
    better = e_value(on.better) if max(others, default=1.0) <= 1.0 else 1.0
    if worse >= WORSE:
        return _back(context, on, worse)
    if better >= BETTER or context.now >= on.until:
        why = f"better, e-value {better:.3g}" if better >= BETTER else "not shown worse"
        words = f"kept {on.version}: {why} than {on.former} on {on.rows:,} rows since"
        kept = context.with_state(probation=None).with_event(
            EventKind.PROBATION_PASSED, ChampionMoved(on.version, on.former, Actor.PROBATION, (words,))
        )
        return kept.with_note(words)
    return context


def _worse(on: Probation, metric: str) -> float:
    """The e-value of "worse by ``metric``"; where the policy names none that is bet on, of "worse" by all together."""
    own = {"accuracy": on.errs, "auc": on.ranks}.get(metric)
    if own:
        return e_value(own)
    return float(np.mean([e_value(w) for w in (on.worse, on.errs, on.ranks) if w] or [1.0]))  # is such a test too


def _compared(context: JobContext, on: Probation) -> tuple[JobContext, Probation]:
    """Both champions on the rows that came; not on rows that are suspect to the former one, which has proved itself."""
    if not context.fresh:
        return context, on
    now, was = (load_version(context.store, context.store.read_card(context.name, v)) for v in (on.version, on.former))
    scale, known = _scale(context, now), read_memory(context.store, context.name).rows(context.store, was.contract)
    for frame in context.fresh:
        try:
            rows, again = (drop_copies(_fitted(m, frame), known)[0] for m in (was, now))
            suspect = find_suspicions(was, rows, np.arange(len(rows)) >= 0.7 * len(rows), known)
            y, p, q = was.target(rows), was.answer_rows(rows), now.answer_rows(again)
            if was.contract.task == "text":  # its loss in [0, 1]: how far a token of the reference is from certain
                y, p, q = np.zeros(len(y)), *(1.0 - np.exp(-nats[:, 0] / np.maximum(y, 1.0)) for nats in (p, q))
            d = _losses(y, q, scale) - _losses(y, p, scale)
            wrong = _wrong(now, y, q) - _wrong(was, y, p)
        except AskedWrongly:  # rows that do not fit were told of at intake
            continue
        if suspect:
            why = "; ".join(one.text for one in suspect)
            context = context.with_note(f"{len(d):,} rows do not count for the probation of {on.version}: {why}")
            continue
        on = _bet(on, d, wrong, y, p, q)
    return context, on


def _bet(on: Probation, d: Array, wrong: Array, y: Array, p: Array, q: Array) -> Probation:
    """With the bets on further rows (n,): differences in loss ``d`` and in errors; ``p`` the former's."""
    worse, better = add_wealth(on.worse, compute_log_wealth(d)), add_wealth(on.better, compute_log_wealth(-d))
    on = dataclasses.replace(on, rows=on.rows + len(d), worse=worse, better=better)
    if p.ndim == 2:
        on = dataclasses.replace(on, errs=add_wealth(on.errs, compute_log_wealth(wrong)))
    if p.ndim == 2 and p.shape[1] == q.shape[1] == 2:
        ranked = ranking_losses(y, p[:, 1], q[:, 1], on.rows)
        on = dataclasses.replace(on, ranks=add_wealth(on.ranks, compute_log_wealth(ranked)))
    return on


def _wrong(model: Model, y: Array, p: Array) -> Array:
    """(n,) 1 where the model answers another class; nothing for numbers."""
    return np.zeros(len(y)) if p.ndim == 1 else (class_codes(model, p) != y).astype(np.float64)


def _fitted(model: Model, frame: pl.DataFrame) -> Table:
    """The rows as the model expects them; a class it does not know has a code beyond its own."""
    found = compare_with_contract(model.contract, frame.lazy())
    return clean(found.migrate(frame.lazy()), found.contract, labelled=True).collect()


def _losses(y: Array, p: Array, scale: float) -> Array:
    """(n,) loss of each row; 1 for a class that the model does not know."""
    known = y < p.shape[1] if p.ndim == 2 else np.isfinite(y)
    loss = np.ones(len(y))
    loss[known] = row_losses(y[known], p[known], scale)
    return loss


def _scale(context: JobContext, model: Model) -> float:
    """The spread of a number to be predicted, on rows known before; 1 for classes."""
    if model.contract.task != "regression":
        return 1.0
    rows = read_memory(context.store, context.name).rows(context.store, model.contract)
    return 1.0 if rows is None else float(np.nanstd(model.target(rows)))


def _back(context: JobContext, on: Probation, worse: float) -> JobContext:
    memory = read_memory(context.store, context.name)
    learnt = [b for b in memory.blocks if b.number >= on.block]
    aside = (*memory.quarantined, *(b.rows for b in learnt if b.n_rows))[-MOST_QUARANTINED:]
    left = tuple(b for b in memory.blocks if b.number < on.block)
    kept = write_memory(context.store, RowMemory(left, aside, memory.classes))
    words = f"went back to {on.former}: {on.version} is worse on the same {on.rows:,} rows since (e-value {worse:.3g})"
    context = context.with_state(probation=None).with_note(words)
    moves = (Move("champion", on.former, on.version), Move("memory", kept.digest, memory.digest))
    context = dataclasses.replace(context, moves=(*context.moves, *moves))
    return context.with_event(EventKind.ROLLED_BACK, ChampionMoved(on.former, on.version, Actor.PROBATION, (words,)))
