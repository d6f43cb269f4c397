"""What an update starts from: the champion, the new rows cleaned and split, the rows known before."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evermodel.core.change import Split
from evermodel.core.cleaning import Cleaned, clean
from evermodel.core.contract import Contract
from evermodel.core.difference import Differences, difference
from evermodel.core.errors import BadData, NoData
from evermodel.core.model import Model
from evermodel.core.reading import scan
from evermodel.core.store import Card, Store
from evermodel.core.table import Array, Table
from evermodel.core.widening import widened
from evermodel.loop.arrival import suspicions, without_copies
from evermodel.loop.home import champion_of
from evermodel.loop.memory import Memory, past_rows, read_memory, read_rows
from evermodel.loop.splitting import JUDGED_SHARE, split_newest, without_known
from evermodel.loop.versions import load_version


@dataclass(frozen=True)
class Prepared:
    """Everything an update needs to know; nothing of it changes while candidates are made."""

    card: Card
    champion: Model  # as it is in service, its contract migrated to the new rows
    parent: Model  # the champion, its head widened where new classes came
    memory: Memory
    new: Table  # cleaned new rows, oldest first, known ones left out
    judged: Array  # (n,) bool: the judge's rows
    held: Array  # (n,) bool: rows that from now on only judge "known before"
    kept: Table | None  # rows known before that may be trained on
    past: Table | None  # rows known before that nothing was trained on
    known: int
    cleaned: Cleaned | None  # None: no new rows came, see known.py
    differences: Differences | None
    source: str
    known_only: bool = False
    remarks: tuple[str, ...] = ()  # to be said before the judge's reasons
    suspect: tuple[str, ...] = ()  # why the new rows cannot be an update: see arrival.py
    past_champion: Model | None = None  # answers on past rows the champion was trained on (fair_past.py)
    aside: Table | None = None  # rows that former updates set aside, where they are not among the new ones

    @property
    def judging(self) -> Table:
        return self.new.rows(self.judged)

    @property
    def learnable(self) -> Array:
        """(n,) bool: the new rows that candidates may be trained on."""
        return ~self.judged & ~self.held

    @cached_property
    def foretold(self) -> Array:
        """What the champion, its own correction left out, says of all new rows: asked once, used by each training."""
        champion = dataclasses.replace(self.champion, output=self.champion.output.uncorrected())
        return champion.predict(self.new.frame)

    @property
    def rows_key(self) -> str:
        """The same for the same new rows beside the same memory."""
        return self.memory.digest + str(len(self.new)) + str(self.new.frame.hash_rows(seed=0).sum())

    def split(self) -> Split:
        """What candidates may see: nothing that judges."""
        return Split(self.new.rows(self.learnable), self.kept)

    def whole(self) -> Split:
        """What finishing may see: the judged rows as well."""
        return Split(self.new.rows(~self.held), self.kept)


def prepare(
    store: Store, name: str, data: Any, *, accept: Collection[str] = (), seed: int = 0, with_aside: bool = False,
    share: float = JUDGED_SHARE,
) -> Prepared:  # fmt: skip
    """Reads, compares with the contract, cleans and splits; ``with_aside`` puts rows set aside before the new ones.

    ``share`` of the new rows judges, the newest.

    Raises ContractBroken, BadData, NoData; changes nothing.
    """
    card = champion_of(store, name)
    memory = read_memory(store, name)
    champion = load_version(store, card)
    contract = champion.contract.with_classes(memory.classes)  # its codes are in the remembered rows
    champion = dataclasses.replace(champion, contract=contract)
    frame = scan(data)
    found = difference(champion.contract, frame)
    found.raise_refused(accept)
    champion = dataclasses.replace(champion, contract=found.contract)
    cleaned = clean(found.migrated(frame), found.contract, labelled=True)
    kept, past = memory.rows(store, found.contract), memory.past(store, found.contract)
    aside, fresh = aside_rows(store, memory, found.contract), cleaned.collect()
    if with_aside and aside is not None:
        fresh, aside = dataclasses.replace(aside, blocks=None).with_rows(fresh), None
    table, known = without_known(fresh, _together(kept, past))
    if not len(table):
        raise NoData(
            f"All {known} rows were known before; there is nothing new to learn from.", "Give rows that came since."
        )
    _refuse_no_values(cleaned)
    _refuse_one_class(cleaned)
    table, remarks = without_copies(table, kept)
    table = dataclasses.replace(table, blocks=np.full(len(table), memory.next_number))
    judged = split_newest(table, share=share, shuffled=bool(card.facts.get("shuffled")), seed=seed)
    held = past_rows(table, seed=memory.next_number) & ~judged
    made = (card, champion, widened(champion), memory, table, judged, held, kept, past, known, cleaned, found)
    suspect = suspicions(champion, table, judged, kept)
    return Prepared(*made, _source(data), remarks=remarks, suspect=suspect, aside=aside)


def _source(data: Any) -> str:
    return str(data) if isinstance(data, str) or hasattr(data, "__fspath__") else "live rows"


def data_facts(prepared: Prepared) -> dict[str, Any]:
    """Rows read, used and judged; what cleaning did; how the rows differ from the contract."""
    return {
        "source": prepared.source,
        "rows": len(prepared.new),
        "judged": int(prepared.judged.sum()),
        "known_before": prepared.known,
        "kept": 0 if prepared.kept is None else len(prepared.kept),
        "cleaning": prepared.cleaned.as_json() if prepared.cleaned else {},
        "differences": prepared.differences.as_json() if prepared.differences else [],
    }


def _refuse_no_values(cleaned: Cleaned) -> None:
    if cleaned.done and all(d.missing == cleaned.rows_read for d in cleaned.done):
        raise NoData("No row has a usable value in any input column.", "Check how the rows were written.")


def _refuse_one_class(cleaned: Cleaned) -> None:
    if cleaned.contract.task != "regression" and len(cleaned.classes_present) < 2:
        only = ", ".join(map(str, cleaned.classes_present))
        raise BadData(
            f"All usable new rows are of one class ({only}); no model can be judged on them.",
            "Give rows of at least two classes.",
        )


def aside_rows(store: Store, memory: Memory, contract: Contract) -> Table | None:
    """Rows that former updates set aside as incidents, oldest first."""
    return read_rows(store, contract, [(memory.next_number, digest) for digest in memory.aside])


def _together(kept: Table | None, past: Table | None) -> Table | None:
    return past if kept is None else kept.with_rows(past)
