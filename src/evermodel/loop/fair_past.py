"""On rows the champion was trained on it cannot be compared; its recipe, trained without them, stands for it there."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.change import Context, Split
from evermodel.core.errors import EvermodelError
from evermodel.core.model import Model
from evermodel.core.store import Card, Store
from evermodel.core.table import Array, Table
from evermodel.loop.auto import EPOCHS
from evermodel.loop.prepare import Prepared

ANEW = ("refit", "tune")  # changes whose model kept nothing of what its parent learnt
STOOD = "on rows remembered at adoption its recipe, trained without them, stands for the champion, which knew them"
LEFT_OUT = "rows remembered at adoption do not judge: the champion was trained on them, and its recipe cannot be"


def with_fair_past(store: Store, prepared: Prepared, context: Context) -> Prepared:
    """Trains a stand-in where the champion goes back to a model that saw the rows remembered at its adoption.

    A booster that has learnt rows by heart scores 1.0 on them, and every challenger looks like harm. Costs one training
    on the rows known before; none where the champion was trained anew since, or where no new rows came.
    """
    if prepared.past is None or prepared.kept is None or prepared.known_only or not _knew(store, prepared.card):
        return prepared
    if not at_adoption(prepared.past).any():
        return prepared
    stood = _trained_without(prepared, context)
    if stood is None:
        past = prepared.past.rows(~at_adoption(prepared.past))
        return dataclasses.replace(prepared, past=past if len(past) else None, remarks=(*prepared.remarks, LEFT_OUT))
    return dataclasses.replace(prepared, past_champion=stood, remarks=(*prepared.remarks, STOOD))


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
    if card.change in ANEW:
        return False
    return not card.parents or any(_knew(store, store.card(card.name, v)) for v in card.parents)
