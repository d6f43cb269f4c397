"""How good the champion is on the rows whose labels came just now, beside what it scored when it was promoted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl

from evermodel.core import plugs
from evermodel.core.cleaning import clean
from evermodel.core.comparing import DEFAULT_METRIC
from evermodel.core.difference import difference
from evermodel.core.errors import AskedWrongly
from evermodel.loop._maintain.turn import Turn
from evermodel.loop.home import champion_of
from evermodel.loop.versions import load_version

__all__ = ["score"]
RECOVERED = 0.5  # share of a loss at which it is over


def score(turn: Turn) -> Turn:
    """Remembers both scores for the cost rule; fewer new rows than ``min_rows`` say too little and change nothing."""
    if sum(f.height for f in turn.fresh) < turn.policy.min_rows:
        return turn
    card = champion_of(turn.store, turn.name)
    model = load_version(turn.store, card)
    metric = turn.policy.metric or DEFAULT_METRIC[model.contract.task]
    frame = pl.concat(turn.fresh, how="diagonal_relaxed").lazy()
    try:
        found = difference(model.contract, frame)
        rows = clean(found.migrated(frame), model.contract, labelled=True).collect()
        y, p = model.target(rows), model.predict(rows.frame)
        known = np.isfinite(y.astype(np.float64)) & (y < p.shape[1] if p.ndim == 2 else True)
        value = float(plugs.function("metrics", metric)(y[known], p[known]))
    except AskedWrongly:
        return turn
    told = (card.scores.get("new") or card.scores.get("reference") or {}).get(metric)
    then = told.get("challenger") if isinstance(told, dict) else told
    if then is None or not math.isfinite(value):
        return turn
    words = f"{card.version} scores {metric} {value:.4f} on {len(rows):,} newly labelled rows"
    turn = turn.remembering(judged=(float(then), value)).saying(f"{words}, {float(then):.4f} when promoted")
    return _settled(turn, metric, value)


def _settled(turn: Turn, metric: str, value: float) -> Turn:
    """Whether what an alarm told of is won back. A new version's alarms begin at its own level: they cannot tell."""
    owed = turn.memory.owed
    if owed is None or not turn.now > turn.memory.updated:
        return turn
    if owed.won(value) >= RECOVERED:
        return turn.remembering(owed=None).saying(f"won back: {metric} was {owed.after:.4f}, {owed.before:.4f} before")
    return turn.remembering(owed=dataclasses.replace(owed, short=True))
