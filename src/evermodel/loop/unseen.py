"""Rows for choosing and judging among versions that exist: new ones, or those kept out of all training."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from evermodel.core.change import Split
from evermodel.core.errors import NoData
from evermodel.core.model import Model
from evermodel.core.store import Card, Store
from evermodel.loop.home import champion_of
from evermodel.loop.memory import Memory, read_memory
from evermodel.loop.prepare import Prepared, prepare
from evermodel.loop.splitting import JUDGED_SHARE
from evermodel.loop.versions import load_version

SOURCE = "rows kept out of training"
LEAST = 60  # rows of the past that can stand in for new ones


def prepare_unseen(
    store: Store, name: str, data: Any, accept: Collection[str], seed: int, share: float = JUDGED_SHARE
) -> Prepared:
    """New rows, ``share`` of them judging; or those kept out of all training, a half judging. Raises NoData."""
    if data is not None:
        return prepare(store, name, data, accept=accept, seed=seed, share=share)
    card = champion_of(store, name)
    return unseen_by(store, card, load_version(store, card), read_memory(store, name), seed)


def unseen_by(store: Store, card: Card, champion: Model, memory: Memory, seed: int) -> Prepared:
    """Rows kept out of training in a version's time, a half judging. Raises NoData."""
    past = memory.past(store, champion.contract)
    if past is None or len(past) < LEAST:
        raise NoData(f"Only {0 if past is None else len(past)} rows of {card.name} were kept out of training; {LEAST} "
                     "are needed to choose and to judge.", "Give labelled rows that came since.")  # fmt: skip
    judged = np.random.default_rng(seed).permutation(len(past)) % 2 == 0
    kept = memory.rows(store, champion.contract)
    nothing = np.zeros(len(past), dtype=bool)
    return Prepared(
        card, champion, champion, memory, past, judged, nothing, kept, None, 0, None, None,
        SOURCE, remarks=("no new rows: half of those kept out of all training judge",),
    )  # fmt: skip


def choosing(prepared: Prepared) -> Split:
    """Rows nobody was trained on: the older half may be trained on now, the newer half is to choose by."""
    split = prepared.split()
    half = np.arange(len(split.new)) >= (0 if prepared.source == SOURCE else len(split.new) // 2)
    return Split(split.new.rows(~half), split.kept, split.new.rows(half))
