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

from evermodel.core import plugs
from evermodel.core.change import Context
from evermodel.core.errors import AskedWrongly, Damaged
from evermodel.core.files import digest_file
from evermodel.core.model import Model
from evermodel.core.store import Card, Store
from evermodel.core.widening import widened
from evermodel.loop.auto import Recipe
from evermodel.loop.choosing import recipes
from evermodel.loop.fuse import fused_again
from evermodel.loop.golden import NAMES, TOLERANCE, check_golden
from evermodel.loop.home import card_of, open_home
from evermodel.loop.known import SOURCE as KNOWN
from evermodel.loop.known import known_to
from evermodel.loop.making import finished, make
from evermodel.loop.memory import Block, Memory, memory_at, read_memory, read_rows
from evermodel.loop.prepare import Prepared
from evermodel.loop.prune import JUDGED, pruned_again
from evermodel.loop.results import Shown
from evermodel.loop.splitting import JUDGED_SHARE, split_newest
from evermodel.loop.tune import tuned_again
from evermodel.loop.unseen import SOURCE as UNSEEN
from evermodel.loop.unseen import unseen_by
from evermodel.loop.versions import load_version, save_version

AGAIN = {"tune": tuned_again, "prune": pruned_again, "fuse": fused_again}  # others are updates
WITHOUT = {KNOWN: known_to, UNSEEN: unseen_by}  # where no new rows came


@dataclass(frozen=True)
class Reproduced(Shown):
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
    name: str, version: str, *, to: str | Path | None = None, tolerance: float = TOLERANCE, restore: bool = False,
    home: str | Path | None = None,
) -> Reproduced:  # fmt: skip
    """Build a version again from its card: parent, remembered rows, change, settings, seed; compare, bit for bit.

    ``restore`` puts damaged or missing files back where the new ones have their very hashes; ``to`` writes the version
    into a new folder. An adopted file is the user's and cannot be built again, nor a version whose rows were thinned,
    set aside or collected. Of a search the point found is trained, of ``prune`` and ``fuse`` the way chosen is gone
    again. Costs what that training did. Raises AskedWrongly, Damaged, NotFound.

        $ evermodel reproduce churn v3 --restore
    """
    store = open_home(home)
    card = card_of(store, name, version)
    if to is not None and Path(to).exists():
        raise AskedWrongly(f"--to must be a new folder. Got {to}, which is there already.")
    prepared, notes = _as_it_was(store, card)
    model = _made_again(store, prepared, card)
    staged = store.stage()
    save_version(staged, model)
    hashes = card.facts.get("removed_files") or card.files
    differing = tuple(p for p in hashes if p not in NAMES and not _same(staged / p, hashes[p]))
    difference = _difference(store, card, staged, model)
    exact = bool(hashes) and not differing
    within = True if exact else (difference <= tolerance if np.isfinite(difference) else None)
    restored = restore and exact and _put_back(store, card, staged)
    if to is not None:
        shutil.copytree(staged, to)
    return Reproduced(name, version, exact, difference, tolerance, within, differing, restored,
                      None if to is None else str(to), notes)  # fmt: skip


def _as_it_was(store: Store, card: Card) -> tuple[Prepared, tuple[str, ...]]:
    """What the update started from. Raises AskedWrongly where the card does not suffice."""
    said = f"{card.name} {card.version} cannot be built again"
    if card.change == "adopt" or not card.parents:
        raise AskedWrongly(
            f"{said}: it was adopted from {card.facts.get('source') or 'a live model'}.", "Adopt it again."
        )
    if card.change not in (*AGAIN, *plugs.names("updates")):
        raise AskedWrongly(f"{said}: it was made by {card.change}, of which we know nothing.", "Install what made it.")
    before, parent = memory_at(store, card.data.get("memory", "")), store.card(card.name, card.parents[0])
    champion = load_version(store, parent)
    champion = dataclasses.replace(champion, contract=champion.contract.with_classes(before.classes))
    if card.change in AGAIN and card.data.get("new") in WITHOUT:
        return WITHOUT[card.data["new"]](store, parent, champion, before, card.seed), ()
    block = next((b for b in read_memory(store, card.name).blocks if b.number == before.next_number), None)
    rows = card.facts.get("result", {}).get("data", {}).get("rows")
    if block is None or block.n_rows + block.n_past != rows:
        raise AskedWrongly(
            f"{said}: of its {rows} rows {0 if block is None else block.n_rows + block.n_past} are kept."
        )
    return _prepared(store, parent, champion, before, block, card)


def _prepared(
    store: Store, parent: Card, champion: Model, before: Memory, block: Block, card: Card
) -> tuple[Prepared, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    contract = champion.contract
    new = read_rows(store, contract, [(block.number, block.rows)])
    if new is None:
        raise AskedWrongly(f"{card.name} {card.version} cannot be built again: none of its rows may be trained on.")
    held = np.zeros(len(new), dtype=bool)
    if block.past:
        past = read_rows(store, contract, [(block.number, block.past)])
        assert past is not None  # noqa: S101 - its digest is there
        new, held = new.with_rows(past), np.r_[held, np.ones(len(past), dtype=bool)]
        time = contract.roles.time
        if time is None:
            notes = (f"the places of {len(past)} rows that only judge are not kept: which rows judged may differ",)
        else:
            order = new.frame.select(pl.arg_sort_by(time, maintain_order=True)).to_series().to_numpy()
            new, held = new.rows(order), held[order]
    share = JUDGED if card.change == "prune" else JUDGED_SHARE
    judged = split_newest(new, share=share, shuffled=bool(parent.facts.get("shuffled")), seed=card.seed) & ~held
    made = (parent, champion, widened(champion), before, new, judged, held)
    kept, known = before.rows(store, contract), before.past(store, contract)
    return Prepared(*made, kept, known, 0, None, None, card.data.get("new", "")), notes


def _made_again(store: Store, prepared: Prepared, card: Card) -> Model:
    context = Context(card.seed)
    if card.change in AGAIN:
        return AGAIN[card.change](store, prepared, card, context)
    asked = Recipe(card.change, card.settings)
    auto = recipes(prepared, "auto", {})
    recipe = next((r for r in auto if r.change == card.change and dict(r.settings) == dict(card.settings)), asked)
    recipe = dataclasses.replace(recipe, beside=card.facts.get("beside", ""))
    judged = make(recipe, prepared, context)
    if not card.facts.get("finished"):
        return judged.model
    done = finished(store, prepared, judged, context, card.facts["result"].get("metric"))
    return judged.model if done is None else done.model


def _difference(store: Store, card: Card, staged: Path, model: Model) -> float:
    for name in NAMES:
        digest = card.files.get(name)
        found = store.care.find(digest, (card.name, card.version, name)) if digest else None
        if found is None or digest_file(found) != digest:
            return float("nan")
        shutil.copyfile(found, staged / name)
    told = check_golden(staged, model)
    return float("nan") if told is None else told.difference


def _same(at: Path, digest: str) -> bool:
    return at.is_file() and digest_file(at) == digest


def _put_back(store: Store, card: Card, staged: Path) -> bool:
    hashes: Mapping[str, Any] = card.files
    put = False
    for path, digest in hashes.items():
        try:
            found = store.care.find(digest, (card.name, card.version, path))
            whole = found is not None and digest_file(found) == digest
        except (OSError, Damaged):
            whole = False
        if not whole and _same(staged / path, digest):
            store.care.mend(digest, (card.name, card.version, path), staged / path)
            put = True
    return put
