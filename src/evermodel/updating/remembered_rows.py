"""What a change starts from where no new rows came: remembered rows, or those kept out of all training."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

import numpy as np

from evermodel.core.errors import NoData
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Split
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.registry.lookup import champion_of
from evermodel.registry.row_memory import RowMemory, read_memory
from evermodel.registry.versions import load_version
from evermodel.updating.splitting import JUDGED_SHARE, split_newest
from evermodel.updating.update_input import NothingNew, UpdateInput, read_update_input

MOST_JUDGED = 10_000  # remembered rows
LEAST_UNSEEN = 60  # rows kept out of training that can judge in place of new ones
KNOWN = "rows known before"  # the source, as version cards record it
UNSEEN = "rows kept out of training"
KNOWN_REMARK = "No new rows came: the deployed recipe, trained without the judged rows, answers for the champion."
UNSEEN_REMARK = "No new rows came: half of the rows kept out of all training judge."


def read_known_rows(store: Store, name: str, seed: int = 0) -> UpdateInput:
    """Splits the remembered rows: the newest judge, the others may be trained on. Changes nothing.

    The champion itself was trained on them: whoever uses this has to let its own recipe, trained without the judged
    rows, answer for it. Raises NoData where nothing is remembered.
    """
    card = champion_of(store, name)
    return split_known_rows(store, card, load_version(store, card), read_memory(store, name), seed)


def read_new_or_known_rows(store: Store, name: str, data: Any, accept: Collection[str], seed: int) -> UpdateInput:
    """New rows; where ``data`` is None or all of it was known before, the remembered rows, as ``read_known_rows``."""
    remark = KNOWN_REMARK
    if data is not None:
        try:
            return read_update_input(store, name, data, accept=accept, seed=seed)
        except NothingNew as known:
            remark = (
                f"All {known.n_known:,} rows were known before: the deployed recipe, trained without the judged rows, "
                "answers for the champion."
            )
    return dataclasses.replace(read_known_rows(store, name, seed), remarks=(remark,))


def split_known_rows(store: Store, card: VersionCard, champion: Model, memory: RowMemory, seed: int) -> UpdateInput:
    """``read_known_rows`` for any version, and what was remembered in its time."""
    rows = memory.rows(store, champion.contract)
    if rows is None or not len(rows):
        raise NoData(f"No rows of {card.name} are remembered.", "Give labelled rows.")
    share = min(JUDGED_SHARE, MOST_JUDGED / len(rows))
    return UpdateInput(
        card=card,
        champion=champion,
        parent=champion,
        memory=memory,
        new=rows,
        is_judged=split_newest(rows, share=share, shuffled=card.shuffled, seed=seed),
        is_reserved=np.zeros(len(rows), dtype=bool),
        replay_rows=None,
        retention_rows=memory.past(store, champion.contract),
        n_known_before=0,
        cleaned=None,
        differences=None,
        source=KNOWN,
        without_new_rows=True,
        remarks=(KNOWN_REMARK,),
    )


def read_unseen_rows(
    store: Store, name: str, data: Any, accept: Collection[str], seed: int, share: float = JUDGED_SHARE
) -> UpdateInput:
    """New rows, ``share`` of them judging; without any those kept out of all training, half of them judging.

    For choosing and judging among versions that exist. Raises NoData.
    """
    remark = UNSEEN_REMARK
    if data is not None:
        try:
            return read_update_input(store, name, data, accept=accept, seed=seed, share=share)
        except NothingNew as known:
            remark = f"All {known.n_known:,} rows were known before: half of the rows kept out of all training judge."
    card = champion_of(store, name)
    unseen = split_unseen_rows(store, card, load_version(store, card), read_memory(store, name), seed)
    return dataclasses.replace(unseen, remarks=(remark,))


def split_unseen_rows(store: Store, card: VersionCard, champion: Model, memory: RowMemory, seed: int) -> UpdateInput:
    """The rows kept out of training in a version's time, half of them judging. Raises NoData."""
    unseen = memory.past(store, champion.contract)
    if unseen is None or len(unseen) < LEAST_UNSEEN:
        raise NoData(
            f"Only {0 if unseen is None else len(unseen)} rows of {card.name} were kept out of training; "
            f"{LEAST_UNSEEN} are needed to choose and to judge.",
            "Give labelled rows that came since.",
        )
    return UpdateInput(
        card=card,
        champion=champion,
        parent=champion,
        memory=memory,
        new=unseen,
        is_judged=np.random.default_rng(seed).permutation(len(unseen)) % 2 == 0,
        is_reserved=np.zeros(len(unseen), dtype=bool),
        replay_rows=memory.rows(store, champion.contract),
        retention_rows=None,
        n_known_before=0,
        cleaned=None,
        differences=None,
        source=UNSEEN,
        remarks=(UNSEEN_REMARK,),
    )


def split_for_choosing(update_input: UpdateInput) -> Split:
    """Rows that nothing was trained on: the older half may be trained on now, the newer half is to choose by."""
    split = update_input.split()
    middle = 0 if update_input.source == UNSEEN else len(split.new_rows) // 2
    newer = np.arange(len(split.new_rows)) >= middle
    return Split(split.new_rows.rows(~newer), split.replay_rows, split.new_rows.rows(newer))
