"""On rows that the champion was trained on it cannot be compared; its recipe, trained without them, answers there."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.data.table import Table
from evermodel.core.errors import EvermodelError
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.training import label_training
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.updating.recipes import EPOCHS
from evermodel.updating.update_input import UpdateInput

ENOUGH = 300  # retention rows that can show that 3 points of accuracy are not lost where few answers differ
TRAINED_ANEW = ("refit", "tune")  # strategies whose model keeps nothing of what its parent learnt, unless blended
REPLACED = (
    "On the rows remembered at adoption, which the champion was trained on, its recipe trained without them answers."
)
LEFT_OUT = (
    "The rows remembered at adoption do not judge: the champion was trained on them, and its recipe could not be "
    "trained without them."
)
logger = logging.getLogger(__name__)


def add_retention_baseline(
    store: Store, update_input: UpdateInput, context: Context, *, enough: int = 0
) -> UpdateInput:
    """Trains a stand-in for the champion on the retention rows, where it goes back to a model that was trained on them.

    A booster that has learnt rows by heart scores 1.0 on them, and every challenger looks like harm. ``enough``: so
    many retention rows are to judge; those missing are drawn from the ones remembered at adoption (a tenth of them at
    most), and nothing is trained on them then: use it before a candidate is trained. Costs one training on the rows
    known before; none where the champion was trained anew since, or where no new rows came.
    """
    retention, replay = update_input.retention_rows, update_input.replay_rows
    if retention is None or replay is None or update_input.without_new_rows:
        return update_input
    if not from_adoption(retention).any() or not _keeps_what_was_adopted(store, update_input.card):
        return update_input
    retention, replay = _add_retention_rows(retention, replay, enough, context.seed)
    update_input = dataclasses.replace(update_input, retention_rows=retention, replay_rows=replay)
    baseline = _train_without(update_input, context)
    if baseline is None:
        later = retention.rows(~from_adoption(retention))
        remarks = (*update_input.remarks, LEFT_OUT)
        return dataclasses.replace(update_input, retention_rows=later if len(later) else None, remarks=remarks)
    return dataclasses.replace(update_input, retention_baseline=baseline, remarks=(*update_input.remarks, REPLACED))


def _add_retention_rows(retention: Table, replay: Table, enough: int, seed: int) -> tuple[Table, Table]:
    """Rows remembered at adoption that judge from now on, whole entities: 80 cannot show that 3 points are not lost."""
    first = np.flatnonzero(from_adoption(replay))
    wanted = min(enough - len(retention), len(first) // 10)
    if wanted <= 0:
        return retention, replay
    random = np.random.default_rng(seed)
    entity = replay.roles.entity
    if entity is None or entity not in replay.frame.columns:
        drawn = random.choice(first, wanted, replace=False)
    else:
        entities = replay.frame[entity].cast(pl.String).fill_null("").to_numpy()
        names, sizes = np.unique(entities[first], return_counts=True)
        order = random.permutation(len(names))
        in_later_blocks = entities[~from_adoption(replay)]  # their rows are trained on
        chosen = names[order][np.cumsum(sizes[order]) <= wanted]
        drawn = np.flatnonzero(np.isin(entities, np.setdiff1d(chosen, in_later_blocks)))
    moved = np.zeros(len(replay), dtype=bool)
    moved[drawn] = True
    return replay.rows(moved).with_rows(retention), replay.rows(~moved)


def _train_without(update_input: UpdateInput, context: Context) -> Model | None:
    """The champion's recipe trained on the replay rows alone; None where it cannot be."""
    champion, replay = update_input.champion, update_input.replay_rows
    if replay is None or not len(replay):
        return None
    settings = {"epochs": EPOCHS} if champion.signature.network else {}
    listen = label_training(context.on_epoch, "the deployed recipe without the rows that judge")
    unbounded = dataclasses.replace(context, deadline=None, on_epoch=listen)
    try:
        return unbounded.run_strategy("refit", [champion], Split(replay), **settings)
    except EvermodelError:
        logger.warning("%s: no retention baseline can be trained", update_input.card.name, exc_info=True)
        return None


def split_retention_rows(store: Store, update_input: UpdateInput) -> tuple[Table | None, Table | None]:
    """The retention rows that may judge, and those that the champion was trained on.

    A model that learnt rows by heart cannot be beaten on them, so that these are shown and judge nothing, unless a
    baseline answers for it.
    """
    retention = update_input.retention_rows
    if retention is None or update_input.retention_baseline is not None or update_input.without_new_rows:
        return retention, None
    is_learnt = from_adoption(retention)
    if not is_learnt.any() or not _keeps_what_was_adopted(store, update_input.card):
        return retention, None
    return retention.rows(~is_learnt), retention.rows(is_learnt)


def predict_retention_rows(champion: Model, baseline: Model | None, retention: Table) -> Array:
    """The champion's predictions of the retention rows, its baseline's where the champion was trained on them."""
    own = champion.answer_rows(retention)
    if baseline is None:
        return own
    trained_on = from_adoption(retention).reshape(-1, *[1] * (own.ndim - 1))
    return np.where(trained_on, baseline.answer_rows(retention), own)


def from_adoption(rows: Table) -> Array:
    """(n,) bool: the rows of the first block, which the adopted model may have been trained on."""
    return np.zeros(len(rows), dtype=bool) if rows.blocks is None else np.asarray(rows.blocks == 0)


def _keeps_what_was_adopted(store: Store, card: VersionCard) -> bool:
    """Whether the version goes back to the adopted model by strategies that keep what was learnt."""
    if card.strategy in TRAINED_ANEW and not (card.update is not None and card.update.blended_with):
        return False
    return not card.parents or any(
        _keeps_what_was_adopted(store, store.read_card(card.name, parent)) for parent in card.parents
    )
