"""Build a version again from its card: its parent, the rows remembered of its update, its change and settings."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evermodel.core.errors import AskedWrongly, Damaged
from evermodel.core.files import digest_file
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import STRATEGIES, Context
from evermodel.core.model.widening import widen_model
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Store
from evermodel.registry.golden_predictions import NAMES, TOLERANCE, check_golden
from evermodel.registry.lookup import card_of, open_store
from evermodel.registry.results import Result
from evermodel.registry.row_memory import RowBlock, RowMemory, read_memory, read_memory_blob, read_rows
from evermodel.registry.versions import load_version, save_version
from evermodel.searching.fuse import fuse_again
from evermodel.searching.prune.prune import JUDGED, prune_again
from evermodel.searching.tune.tune import tune_again
from evermodel.updating.recipes import Recipe, list_usual_recipes
from evermodel.updating.remembered_rows import KNOWN, UNSEEN, split_known_rows, split_unseen_rows
from evermodel.updating.splitting import JUDGED_SHARE, split_newest
from evermodel.updating.trained_candidate import refit_on_all_rows, train_candidate
from evermodel.updating.update_input import UpdateInput, find_most_leaves

AGAIN = {"tune": tune_again, "prune": prune_again, "fuse": fuse_again}  # others are updates
WITHOUT_NEW_ROWS = {KNOWN: split_known_rows, UNSEEN: split_unseen_rows}  # where no new rows came


@dataclass(frozen=True)
class ReproduceResult(Result):
    """``exact``: every file has the hash on the card. ``difference``: between golden answers, in units of the largest;
    NaN where the version has none. ``restored``: whether the files were put back in the store.
    """

    name: str
    version: str
    exact: bool
    difference: float
    tolerance: float
    within: bool | None  # None: there is nothing to compare with
    differing: tuple[str, ...] = ()
    restored: bool = False
    to: str | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        if self.exact:
            head = "bit for bit as it was put"
        elif self.within is None:
            head = "built again, but there is nothing to compare it with"
        else:
            said = "within" if self.within else "NOT within"
            head = f"golden answers differ by {self.difference:.2g}, {said} {self.tolerance:g}"
        more = [f"  put back   {self.name} {self.version}"] * self.restored + (
            [f"  written    {self.to}"] if self.to else []
        )
        differ = [f"  differs    {', '.join(self.differing)}"] if self.differing else []
        return [f"{self.name} {self.version}: {head}", *differ, *more, *(f"  note       {n}" for n in self.notes)]


def reproduce(
    name: str,
    version: str,
    *,
    to: str | Path | None = None,
    tolerance: float = TOLERANCE,
    restore: bool = False,
    registry: str | Path | None = None,
) -> ReproduceResult:
    """Build a version again from its card: parent, remembered rows, change, settings, seed; compare, bit for bit.

    ``restore`` puts damaged or missing files back where the new ones have their very hashes; ``to`` writes the version
    into a new folder. An adopted file is the user's and cannot be built again, nor a version whose rows were thinned,
    set aside or collected. Of a search the point found is trained, of ``prune`` and ``fuse`` the way chosen is gone
    again. Costs what that training did. Raises AskedWrongly, Damaged, NotFound.

        $ evermodel reproduce churn v3 --restore
    """
    store = open_store(registry)
    card = card_of(store, name, version)
    if to is not None and Path(to).exists():
        raise AskedWrongly(f"`to` must be a new folder. Got {to}, which is there already.")
    update_input, notes = _restore_input(store, card)
    model = _rebuild(store, update_input, card)
    staged = store.staging_folder()
    save_version(staged, model)
    hashes = card.removed_files or card.files
    differing = tuple(p for p in hashes if p not in NAMES and not _same(staged / p, hashes[p]))
    difference = _difference(store, card, staged, model)
    exact = bool(hashes) and not differing
    within = True if exact else (difference <= tolerance if np.isfinite(difference) else None)
    restored = restore and exact and _put_back(store, card, staged)
    if to is not None:
        shutil.copytree(staged, to)
    return ReproduceResult(
        name, version, exact, difference, tolerance, within, differing, restored, None if to is None else str(to), notes
    )


def _restore_input(store: Store, card: VersionCard) -> tuple[UpdateInput, tuple[str, ...]]:
    """What the update started from, and what to note about it. Raises AskedWrongly where the card does not suffice."""
    problem = f"{card.name} {card.version} cannot be built again"
    if card.strategy == "adopt" or not card.parents:
        raise AskedWrongly(f"{problem}: it was adopted from {card.source or 'a live model'}.", "Adopt it again.")
    if card.strategy not in (*AGAIN, *STRATEGIES.names()):
        raise AskedWrongly(f"{problem}: no strategy {card.strategy!r} is installed.", "Install what made it.")
    memory, parent = read_memory_blob(store, card.data.get("memory", "")), store.read_card(card.name, card.parents[0])
    champion = load_version(store, parent)
    champion = dataclasses.replace(champion, contract=champion.contract.with_classes(memory.classes))
    split = WITHOUT_NEW_ROWS.get(card.data.get("new", ""))
    if card.strategy in AGAIN and split is not None:
        return split(store, parent, champion, memory, card.seed), ()
    block = next((b for b in read_memory(store, card.name).blocks if b.number == memory.next_number), None)
    n_kept = 0 if block is None else block.n_rows + block.n_past
    n_rows = card.update.data.rows if card.update is not None else None
    if block is None or n_kept != n_rows:
        raise AskedWrongly(f"{problem}: of its {n_rows} rows {n_kept} are kept.")
    return _split_again(store, parent, champion, memory, block, card)


def _split_again(
    store: Store, parent: VersionCard, champion: Model, memory: RowMemory, block: RowBlock, card: VersionCard
) -> tuple[UpdateInput, tuple[str, ...]]:
    """The remembered block of the version's own update, split as it was then."""
    notes: tuple[str, ...] = ()
    contract = champion.contract
    new = read_rows(store, contract, [(block.number, block.rows)])
    if new is None:
        raise AskedWrongly(f"{card.name} {card.version} cannot be built again: none of its rows may be trained on.")
    is_reserved = np.zeros(len(new), dtype=bool)
    if block.past:
        reserved = read_rows(store, contract, [(block.number, block.past)])
        assert reserved is not None  # noqa: S101 - its digest is there
        new, is_reserved = new.with_rows(reserved), np.r_[is_reserved, np.ones(len(reserved), dtype=bool)]
        time = contract.roles.time
        if time is None:
            notes = (f"the places of {len(reserved)} rows that only judge are not kept: which rows judged may differ",)
        else:
            order = new.frame.select(pl.arg_sort_by(time, maintain_order=True)).to_series().to_numpy()
            new, is_reserved = new.rows(order), is_reserved[order]
    share = JUDGED if card.strategy == "prune" else JUDGED_SHARE
    update_input = UpdateInput(
        card=parent,
        champion=champion,
        parent=widen_model(champion),
        memory=memory,
        new=new,
        is_judged=split_newest(new, share=share, shuffled=parent.shuffled, seed=card.seed) & ~is_reserved,
        is_reserved=is_reserved,
        replay_rows=memory.rows(store, contract),
        retention_rows=memory.past(store, contract),
        n_known_before=0,
        cleaned=None,
        differences=None,
        source=card.data.get("new", ""),
        most_leaves=find_most_leaves(store, parent, champion),
    )
    return update_input, notes


def _rebuild(store: Store, update_input: UpdateInput, card: VersionCard) -> Model:
    context = Context(card.seed)
    if card.strategy in AGAIN:
        return AGAIN[card.strategy](store, update_input, card, context)
    recorded = Recipe(card.strategy, card.settings)
    usual = list_usual_recipes(update_input)
    settings = dict(card.settings)
    recipe = next((r for r in usual if r.strategy == card.strategy and dict(r.settings) == settings), recorded)
    recipe = dataclasses.replace(recipe, blends_with=card.update.blended_with if card.update is not None else "")
    judged = train_candidate(recipe, update_input, context)
    if card.update is None or not card.update.refit:
        return judged.model
    refit = refit_on_all_rows(store, update_input, judged, context, card.update.metric)
    return judged.model if refit is None else refit.model


def _difference(store: Store, card: VersionCard, staged: Path, model: Model) -> float:
    for name in NAMES:
        digest = card.files.get(name)
        found = store.upkeep.find(digest, (card.name, card.version, name)) if digest else None
        if found is None or digest_file(found) != digest:
            return float("nan")
        shutil.copyfile(found, staged / name)
    told = check_golden(staged, model)
    return float("nan") if told is None else told.difference


def _same(at: Path, digest: str) -> bool:
    return at.is_file() and digest_file(at) == digest


def _put_back(store: Store, card: VersionCard, staged: Path) -> bool:
    hashes: Mapping[str, Any] = card.files
    put = False
    for path, digest in hashes.items():
        try:
            found = store.upkeep.find(digest, (card.name, card.version, path))
            whole = found is not None and digest_file(found) == digest
        except (OSError, Damaged):
            whole = False
        if not whole and _same(staged / path, digest):
            store.upkeep.mend(digest, (card.name, card.version, path), staged / path)
            put = True
    return put
