"""On rows the champion was trained on it cannot be compared; its recipe, trained without them, stands for it there."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from evermodel.core.change import Context, Split
from evermodel.core.errors import EvermodelError
from evermodel.core.model import Model
from evermodel.core.store import Card, Store
from evermodel.core.table import Array, Table
from evermodel.loop.auto import EPOCHS
from evermodel.loop.prepare import Prepared

ENOUGH = 300  # past rows that can show that 3 points of accuracy are not lost where few answers differ
ANEW = ("refit", "tune")  # changes whose model kept nothing of what its parent learnt, but for one beside it
STOOD = "on rows remembered at adoption its recipe, trained without them, stands for the champion, which knew them"
LEFT_OUT = "rows remembered at adoption do not judge: the champion was trained on them, and its recipe cannot be"


def with_fair_past(store: Store, prepared: Prepared, context: Context, *, enough: int = 0) -> Prepared:
    """Trains a stand-in where the champion goes back to a model that saw the rows remembered at its adoption.

    A booster that has learnt rows by heart scores 1.0 on them, and every challenger looks like harm. ``enough``: so
    many past rows are to judge; those missing are drawn from the ones remembered at adoption (a tenth of them at most),
    and train nobody then: use it before a challenger is made. Costs one training on the rows known before; none where
    the champion was trained anew since, or where no new rows came.
    """
    if prepared.past is None or prepared.kept is None or prepared.known_only or not _knew(store, prepared.card):
        return prepared
    if not at_adoption(prepared.past).any():
        return prepared
    past, kept = _with_more_past(prepared.past, prepared.kept, enough, context.seed)
    prepared = dataclasses.replace(prepared, past=past, kept=kept)
    stood = _trained_without(prepared, context)
    if stood is None:
        past = past.rows(~at_adoption(past))
        return dataclasses.replace(prepared, past=past if len(past) else None, remarks=(*prepared.remarks, LEFT_OUT))
    return dataclasses.replace(prepared, past_champion=stood, remarks=(*prepared.remarks, STOOD))


def _with_more_past(past: Table, kept: Table, enough: int, seed: int) -> tuple[Table, Table]:
    """Rows remembered at adoption that judge from now on, whole entities: 80 cannot show that 3 points are not lost."""
    first = np.flatnonzero(at_adoption(kept))
    wanted = min(enough - len(past), len(first) // 10)
    if wanted <= 0:
        return past, kept
    random = np.random.default_rng(seed)
    entity = kept.roles.entity
    if entity is None or entity not in kept.frame.columns:
        drawn = random.choice(first, wanted, replace=False)
    else:
        of = kept.frame[entity].cast(pl.String).fill_null("").to_numpy()
        names, sizes = np.unique(of[first], return_counts=True)
        order = random.permutation(len(names))
        later = of[~at_adoption(kept)]  # of whom rows of later blocks train
        chosen = names[order][np.cumsum(sizes[order]) <= wanted]
        drawn = np.flatnonzero(np.isin(of, np.setdiff1d(chosen, later)))
    moved = np.zeros(len(kept), dtype=bool)
    moved[drawn] = True
    return kept.rows(moved).with_rows(past), kept.rows(~moved)


def _trained_without(prepared: Prepared, context: Context) -> Model | None:
    """The champion's recipe trained on the rows known before but the past ones; None where it cannot be."""
    champion, kept = prepared.champion, prepared.kept
    if kept is None or not len(kept):
        return None
    told = {"epochs": EPOCHS} if champion.needs.network else {}
    try:
        return dataclasses.replace(context, deadline=None).change("refit", [champion], Split(kept), **told)
    except EvermodelError:
        return None


def past_answers(champion: Model, stood: Model | None, past: Table) -> Array:
    """The champion's predictions of the past rows, its stand-in's where it was trained on them."""
    own = champion.predict(past.frame)
    if stood is None:
        return own
    knew = at_adoption(past).reshape(-1, *[1] * (own.ndim - 1))
    return np.where(knew, stood.predict(past.frame), own)


def at_adoption(past: Table) -> Array:
    """(n,) bool: the rows of the first block, which the adopted model may have been trained on."""
    return np.zeros(len(past), dtype=bool) if past.blocks is None else np.asarray(past.blocks == 0)


def _knew(store: Store, card: Card) -> bool:
    """Whether the version goes back to the adopted model by changes that keep what was learnt."""
    if card.change in ANEW and not card.facts.get("beside"):
        return False
    return not card.parents or any(_knew(store, store.card(card.name, v)) for v in card.parents)
