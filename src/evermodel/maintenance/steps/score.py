"""How good the champion is on the rows whose labels came just now, beside what it scored when it was promoted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl

from evermodel.core.contracts.differences import compare_with_contract
from evermodel.core.data.cleaning import clean
from evermodel.core.errors import AskedWrongly
from evermodel.core.stats.metric import METRICS
from evermodel.judging.task_metrics import DEFAULT_METRIC
from evermodel.maintenance.job_context import JobContext
from evermodel.registry.lookup import champion_of
from evermodel.registry.versions import load_version

__all__ = ["score"]
RECOVERED = 0.5  # share of a loss at which it is over


def score(context: JobContext) -> JobContext:
    """Remembers both scores for the cost rule; fewer new rows than ``min_rows`` say too little and change nothing."""
    if sum(f.height for f in context.fresh) < context.policy.min_rows:
        return context
    card = champion_of(context.store, context.name)
    model = load_version(context.store, card)
    metric = context.policy.metric or DEFAULT_METRIC[model.contract.task]
    frame = pl.concat(context.fresh, how="diagonal_relaxed").lazy()
    try:
        differences = compare_with_contract(model.contract, frame)
        rows = clean(differences.migrate(frame), model.contract, labelled=True).collect()
        is_text = model.contract.task == "text"
        y, p = model.target(rows), model.answer_rows(rows) if is_text else model.predict(rows.frame)
        known = np.isfinite(y.astype(np.float64)) & (y < p.shape[1] if model.contract.classes else True)
        value = float(METRICS.load(metric)(y[known], p[known]))
    except AskedWrongly:
        return context
    then = card.known_scores.get(metric)
    if then is None or not math.isfinite(value):
        return context
    words = f"{card.version} scores {metric} {value:.4f} on {len(rows):,} newly labelled rows"
    where = (
        "on the rows of its adoption, that it may have been trained on" if card.strategy == "adopt" else "when promoted"
    )
    context = context.with_state(judged=(float(then), value)).with_note(f"{words}, {float(then):.4f} {where}")
    return _check_recovery(context, metric, value)


def _check_recovery(context: JobContext, metric: str, value: float) -> JobContext:
    """Whether a loss that an alarm showed is recovered: a new version's own alarms begin at its own level."""
    loss = context.state.unrecovered_loss
    if loss is None or not context.now > context.state.updated:
        return context
    if loss.compute_recovered_share(value) >= RECOVERED:
        return context.with_state(unrecovered_loss=None).with_note(
            f"the loss is recovered: {metric} was {loss.after:.4f}, and {loss.before:.4f} before"
        )
    return context.with_state(unrecovered_loss=dataclasses.replace(loss, is_short=True))
