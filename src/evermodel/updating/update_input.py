"""What an update starts from: the champion, the new rows cleaned and split, the rows known before."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.contracts.differences import Differences, compare_with_contract
from evermodel.core.data.cleaning import Cleaned, clean
from evermodel.core.data.contract import Contract
from evermodel.core.data.scan import has_order, scan
from evermodel.core.data.source import BURST
from evermodel.core.data.table import Table
from evermodel.core.errors import BadData, EvermodelError, NoData
from evermodel.core.model.capabilities import LeafCount
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import Split
from evermodel.core.model.widening import widen_model
from evermodel.core.records.data_summary import DataSummary
from evermodel.core.records.search_record import COST_LIMIT
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.registry.adoption.free_text import describe_cut
from evermodel.registry.lookup import champion_of
from evermodel.registry.row_memory import RowMemory, choose_retention_rows, leave_out_repeated, read_memory, read_rows
from evermodel.registry.versions import load_version
from evermodel.updating.error_correction import undo_correction
from evermodel.updating.incoming_rows import Suspicion, drop_copies, find_suspicions
from evermodel.updating.splitting import JUDGED_SHARE, drop_known_rows, split_newest
from evermodel.updating.unknown_values import admit_new_values, describe_unknown_values

SIZED_BY_USER = ("adopt", "tune", "prune", "fuse")  # strategies whose model has the size that somebody wanted


class NothingNew(NoData):
    """All ``n_known`` rows were known before."""

    def __init__(self, n_known: int) -> None:
        super().__init__(
            f"All {n_known:,} rows were known before; there is nothing new to learn from.", "Give rows that came since."
        )
        self.n_known = n_known


@dataclass(frozen=True)
class UpdateInput:
    """What an update starts from; nothing of it changes while candidates are trained."""

    card: VersionCard  # of the champion
    champion: Model  # as it is in service, its contract migrated to the new rows
    parent: Model  # the champion, its head widened where new classes came
    memory: RowMemory
    new: Table  # cleaned new rows, oldest first, those known before left out
    is_judged: Array  # (n,) bool: the judge's rows among the new ones
    is_reserved: Array  # (n,) bool: those that nothing is trained on, now or later: future retention rows
    replay_rows: Table | None  # rows known before that may be trained on
    retention_rows: Table | None  # rows known before that nothing was trained on: they show what is forgotten
    n_known_before: int  # new rows left out because they were known before
    cleaned: Cleaned | None  # None: no new rows came, see remembered_rows.py
    differences: Differences | None
    source: str
    without_new_rows: bool = False
    n_judged_before: int = 0  # challengers that the new rows judged when they were given before
    replaced_memory: str = ""  # digest of the memory that stands in the store, where ``memory`` is without those rows
    remarks: tuple[str, ...] = ()  # shown before the judge's reasons
    suspicions: tuple[Suspicion, ...] = ()  # why the new rows cannot be an update: see incoming_rows.py
    retention_baseline: Model | None = None  # answers for the champion on retention rows that it was trained on
    quarantined: Table | None = None  # rows that former updates quarantined, where they are not among the new ones
    guard_rows: Table | None = None  # that the user named: the challenger may not get worse there
    most_leaves: int = 0  # that the trees of a drop-in may have in all; 0: no bound

    @property
    def judged_rows(self) -> Table:
        return self.new.rows(self.is_judged)

    @property
    def is_trainable(self) -> Array:
        """(n,) bool: the new rows that candidates may be trained on."""
        return ~self.is_judged & ~self.is_reserved

    @cached_property
    def champion_predictions(self) -> Array:
        """The champion's predictions of all new rows, without its own output correction; computed once."""
        champion = dataclasses.replace(self.champion, output=self.champion.output.without_correction())
        correction = self.card.update.correction if self.card.update is not None else None
        return undo_correction(champion.predict(self.new.frame), correction)

    @property
    def rows_key(self) -> str:
        """The same for the same new rows beside the same memory."""
        return self.memory.digest + str(len(self.new)) + str(self.new.frame.hash_rows(seed=0).sum())

    def split(self) -> Split:
        """What candidates may see: nothing that judges."""
        return Split(self.new.rows(self.is_trainable), self.replay_rows)


def read_update_input(
    store: Store,
    name: str,
    data: Any,
    *,
    accept: Collection[str] = (),
    widen: bool = False,
    new_classes: Collection[Any] = (),
    seed: int = 0,
    with_quarantined: bool = False,
    share: float = JUDGED_SHARE,
    again: bool = False,
) -> UpdateInput:
    """Reads, compares with the contract, cleans and splits the new rows.

    ``share`` of them judges, the newest. ``with_quarantined`` puts the rows that former updates quarantined before the
    new ones. Categories that the model has no code for count as unknown, unless ``widen`` gives them one; rows of
    classes that are not among ``new_classes`` are left out. ``again``: rows of former updates that the champion has not
    learnt from count as new once more. Raises ContractBroken, BadData, NoData; changes nothing.
    """
    card = champion_of(store, name)
    memory = read_memory(store, name)
    champion = load_version(store, card)
    contract = champion.contract.with_classes(memory.classes)  # the codes in the remembered rows are of these
    contract, unordered = drop_order(contract, data)
    card = dataclasses.replace(card, shuffled=card.shuffled or bool(unordered))
    champion = dataclasses.replace(champion, contract=contract)
    frame = scan(data, contract.row_format)
    learns = champion.signature.learns_categories and champion.transform.layout == "frame"
    differences = admit_new_values(
        compare_with_contract(champion.contract, frame, new_classes="note"),
        champion.contract,
        widen=widen,
        new_classes=new_classes,
        learns=learns,
    )
    differences.refuse(accept)
    champion = dataclasses.replace(champion, contract=differences.contract)
    cleaned = clean(differences.migrate(frame), differences.contract, labelled=True)
    stored, n_judged, new = memory, 0, cleaned.collect()
    if again and len(memory.blocks) > 1:  # the first are the rows of adoption
        memory, n_judged = leave_out_repeated(store, memory, card, differences.contract, new)
    replay, retention = memory.rows(store, differences.contract), memory.past(store, differences.contract)
    former = [(memory.next_number, digest) for digest in memory.quarantined]
    quarantined = read_rows(store, differences.contract, former)
    if with_quarantined and quarantined is not None:
        new, quarantined = dataclasses.replace(quarantined, blocks=None).with_rows(new), None
    table, n_known = drop_known_rows(new, retention if replay is None else replay.with_rows(retention))
    if not len(table):
        raise NothingNew(n_known)
    _refuse_constant_rows(cleaned)
    table, remarks = drop_copies(table, replay)
    if champion.contract.task == "text":
        remarks = (*remarks, *describe_cut(champion, table.frame))
    table = dataclasses.replace(table, blocks=np.full(len(table), memory.next_number))
    is_judged = split_newest(table, share=share, shuffled=card.shuffled, seed=seed)
    return UpdateInput(
        card=card,
        champion=champion,
        parent=widen_model(champion),
        memory=memory,
        new=table,
        is_judged=is_judged,
        is_reserved=choose_retention_rows(table, seed=memory.next_number) & ~is_judged,
        replay_rows=replay,
        retention_rows=retention,
        n_known_before=n_known,
        cleaned=cleaned,
        differences=differences,
        source=_source(data),
        n_judged_before=n_judged,
        replaced_memory=stored.digest if n_judged else "",
        remarks=(
            *((_describe_repeated(card, n_judged),) if n_judged else ()),
            *unordered,
            *remarks,
            *describe_unknown_values(differences, table, learns=learns),
        ),
        suspicions=find_suspicions(champion, table, is_judged, replay),
        quarantined=quarantined,
        most_leaves=find_most_leaves(store, card, champion),
    )


def drop_order(contract: Contract, data: Any) -> tuple[Contract, tuple[str, ...]]:
    """The contract under which bursts stay together, and a sentence, where ``data`` has no order and rows had one.

    A time or an entity that the user named stays.
    """
    roles = contract.roles
    if roles.time is not None or roles.entity is not None or has_order(data):
        return contract, ()
    said = (
        "Pictures in folders by class have no order, as the rows before had: those that judge are drawn at random, "
        "class by class, and near-duplicates stay on one side."
    )
    return dataclasses.replace(contract, roles=dataclasses.replace(roles, entity=BURST)), (said,)


def _describe_repeated(card: VersionCard, n_judged: int) -> str:
    challengers = "a challenger" if n_judged == 1 else f"{n_judged} challengers"
    return (
        f"These rows were given before and have judged {challengers}. {card.version} has not learnt from them, so they "
        "judge once more; each time the judge must be surer, because whoever tries often enough wins by chance."
    )


def find_most_leaves(store: Store, card: VersionCard, champion: Model) -> int:
    """1.1 times the leaves of the last version whose size somebody chose: adopted, tuned, pruned or fused.

    0 where the champion has no trees. The champion's own number would grow a little with every update.
    """
    if not isinstance(champion.framework, LeafCount):
        return 0
    found = card
    while found.strategy not in SIZED_BY_USER and found.parents:
        found = store.read_card(found.name, found.parents[0])
    try:
        chosen = champion if found.version == card.version else load_version(store, found)
    except EvermodelError:  # thrown away since, or damaged: the update goes on without it
        chosen = champion
    if not isinstance(chosen.framework, LeafCount):
        return 0
    return int(COST_LIMIT * chosen.framework.count_leaves(chosen.obj))


def _source(data: Any) -> str:
    return str(data) if isinstance(data, str) or hasattr(data, "__fspath__") else "live rows"


def describe_data(update_input: UpdateInput) -> DataSummary:
    """Rows read, used and judged; what cleaning did; how the rows differ from the contract."""
    return DataSummary(
        update_input.source,
        len(update_input.new),
        int(update_input.is_judged.sum()),
        update_input.n_known_before,
        0 if update_input.replay_rows is None else len(update_input.replay_rows),
        update_input.cleaned.summary() if update_input.cleaned else None,
        update_input.differences.summary() if update_input.differences else (),
    )


def _refuse_constant_rows(cleaned: Cleaned) -> None:
    if cleaned.done and all(d.missing == cleaned.rows_read for d in cleaned.done):
        raise NoData("No row has a usable value in any input column.", "Check how the rows were written.")
    if cleaned.contract.classes and len(cleaned.classes_present) < 2:
        only = ", ".join(map(str, cleaned.classes_present))
        raise BadData(
            f"All usable new rows are of one class ({only}); no model can be judged on them.",
            "Give rows of at least two classes.",
        )
