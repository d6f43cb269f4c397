"""What a change starts from where no new rows came: the remembered ones, the newest of them judging."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.errors import NoData
from evermodel.core.model import Model
from evermodel.core.store import Card, Store
from evermodel.loop.home import champion_of
from evermodel.loop.memory import Memory, read_memory
from evermodel.loop.prepare import Prepared
from evermodel.loop.splitting import split_newest
from evermodel.loop.versions import load_version

MOST_JUDGED = 10_000
SOURCE = "rows known before"
REMARK = "no new rows: the deployed recipe trained without the judged rows stands for the champion"


def prepare_known(store: Store, name: str, seed: int = 0) -> Prepared:
    """Splits the remembered rows: the newest judge, the others may be trained on. Changes nothing.

    The champion itself was trained on them, so that whoever uses this has to let it be stood in for by its own recipe
    trained without the judged rows. Raises NoData where nothing is remembered.
    """
    card = champion_of(store, name)
    return known_to(store, card, load_version(store, card), read_memory(store, name), seed)


def known_to(store: Store, card: Card, champion: Model, memory: Memory, seed: int) -> Prepared:
    """The same of any version and what was remembered in its time."""
    rows = memory.rows(store, champion.contract)
    if rows is None or not len(rows):
        raise NoData(f"No rows of {card.name} are remembered.", "Give labelled rows.")
    rows = dataclasses.replace(rows, blocks=None if rows.blocks is None else rows.blocks)
    share = min(0.3, MOST_JUDGED / len(rows))
    judged = split_newest(rows, share=share, shuffled=bool(card.facts.get("shuffled")), seed=seed)
    held = np.zeros(len(rows), dtype=bool)
    past = memory.past(store, champion.contract)
    return Prepared(
        card, champion, champion, memory, rows, judged, held, None, past, 0, None, None, SOURCE,
        known_only=True, remarks=(REMARK,),
    )  # fmt: skip
